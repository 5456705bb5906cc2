"""A record's way through one task: decode, check the key, read the state, decide, encode, keep.

Nothing is kept and nothing appended before every out of the record is encoded and checked (R2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from app.domain.errors import NoKey, PassedOver
from app.engine.broker.limits import UNKNOWN, Limits
from app.engine.processor import Due, Out, Processor, Reading, Record, View
from app.engine.state.cache import MISSING, Cache
from app.engine.topology import Reader
from app.wire.dead_letter import Consumed
from app.wire.headers import trace_of
from app.wire.partition import partition as partition_of
from app.wire.topics import Envelope

Decide = Callable[..., Any]
AHEAD_MS = 5_000  # how far a record's own time may lie ahead of the task's (C1)


class Encoded(msgspec.Struct, frozen=True, gc=False):
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class UnknownTopic(Exception):
    """An out to a topic that the cluster does not have."""


class Misplaced(PassedOver):
    """Sent on to where it belongs; counted by who sent it to the wrong place."""


class Runtime(NamedTuple):
    """What every task of a worker, or of a driver, shares."""

    counts: Mapping[str, int]  # partitions by topic
    append: Callable[[Encoded, int], None]
    readings: Mapping[View[Any], Reading[Any]]
    complain: Callable[..., None]
    clock: Callable[[], int]
    group: str = "iopt"
    source: str = "/iopt/local"
    version: str = ""
    limits: Limits = UNKNOWN

    def count(self, topic: str) -> int:
        """Raises UnknownTopic."""
        found = self.counts.get(topic)
        if found is None:
            raise UnknownTopic(topic)
        return found

    def encode_all(self, outs: Iterable[Out], record: Record, checked: bytes = b"", cause: str = "") -> list[Encoded]:
        """What `record` gives rise to. `checked` is its key, where that is known to belong on its partition.

        Raises UnknownTopic, TooLarge.
        """
        encoded: list[Encoded] = []
        plain = self.limits.plain
        for out in outs:
            topic = out.to
            name = topic.name
            made = out.id or f"{cause or record.place}/{len(encoded)}"
            envelope = Envelope(made, out.subject or out.key, record.now_ms, self.source)
            tombstone = out.value is None
            value, headers = (None, []) if tombstone else topic.codec.encode(out.value, envelope)
            if context := record.trace or out.trace:
                headers.append(("traceparent", context))
            if checked and out.key == record.key and self.counts.get(name) == self.counts.get(record.topic):
                key, number = checked, record.partition
            else:
                key = out.key.encode()
                number = partition_of(key, self.count(name))
            if value is not None and len(value) + len(key) > plain:
                self.limits.check(name, key, value, headers)
            encoded.append(Encoded(name, number, key, value, headers))
        return encoded


class Lane:
    """One source topic in one task.

    `run` and `run_carefully` raise what the fate of a record is made from; `at` is then that record's index.
    """

    def __init__(self, reader: Reader, partition: int, runtime: Runtime) -> None:
        self.reader, self.partition, self.runtime = reader, partition, runtime
        self.at = 0
        self._decide = reader.processor.run
        self._readings = tuple(runtime.readings[view] for view in reader.processor.reads)

    def run(self, records: Sequence[Consumed], begin: int, end: int, now_ms: int) -> None:
        """Without a table."""
        topic, at, latest_ms = self.reader.topic, begin, now_ms + AHEAD_MS
        try:
            for at in range(begin, end):
                raw = records[at]
                value = topic.codec.decode(raw.value, raw.headers)
                key, at_ms = (raw.key or b"").decode("utf-8", "replace"), min(raw.timestamp, latest_ms)
                trace = trace_of(raw.headers) if raw.headers else None
                record = Record(key, at_ms, now_ms, topic.name, self.partition, raw.offset, trace)
                if outs := self._decide(value, record, *self._readings):
                    self._emit(outs, record)
        finally:
            self.at = at

    def run_carefully(self, records: Sequence[Consumed], begin: int, end: int, now_ms: int) -> None:
        self.run(records, begin, end, now_ms)

    def _emit(self, outs: Iterable[Out], record: Record, checked: bytes = b"") -> None:
        append, now_ms = self.runtime.append, record.now_ms
        for encoded in self.runtime.encode_all(outs, record, checked):
            append(encoded, now_ms)

    def _send_on(self, raw: Consumed, named: str, now_ms: int) -> None:
        """To where the body says that it belongs, unchanged (R1). Ends the record."""
        if not named:
            raise NoKey(f"{self.reader.topic.name}: neither the body nor the record names a key")
        key, name = named.encode(), self.reader.topic.name
        home = partition_of(key, self.runtime.count(name))
        sender = (dict(raw.headers).get("ce_source") or b"").decode(errors="replace")
        self.runtime.append(Encoded(name, home, key, raw.value, list(raw.headers)), now_ms)
        raise Misplaced(sender)


class TableLane(Lane):
    """A topic whose records change states."""

    def __init__(self, reader: Reader, partition: int, runtime: Runtime, cache: Cache) -> None:
        super().__init__(reader, partition, runtime)
        self.cache = cache

    def run(self, records: Sequence[Consumed], begin: int, end: int, now_ms: int) -> None:
        self._run(self._decide, records, begin, end, now_ms)

    def run_carefully(self, records: Sequence[Consumed], begin: int, end: int, now_ms: int) -> None:
        self._run(self._decide_on_copies, records, begin, end, now_ms)

    def _run(self, decide: Decide, records: Sequence[Consumed], begin: int, end: int, now_ms: int) -> None:
        """One frame for many records, and all they need close at hand: a call each would be a tenth of the whole."""
        topic, cache, readings = self.reader.topic, self.cache, self._readings
        decode, name, number, key_of = topic.codec.decode, topic.name, self.partition, topic.key_of
        at, hot, dirty, latest_ms = begin, cache.hot, cache.dirty, now_ms + AHEAD_MS
        try:
            for at in range(begin, end):
                raw = records[at]
                headers, raw_key, at_ms = raw.headers, raw.key or b"", raw.timestamp
                value, key = decode(raw.value, headers), raw_key.decode("utf-8", "replace")
                if key_of is not None and (named := key_of(value)) != key:
                    self._send_on(raw, named, now_ms)
                before = hot.get(raw_key, MISSING)
                if before is MISSING:
                    before = self._load(raw, raw_key, key, now_ms)
                at_ms = min(at_ms, latest_ms)
                trace = trace_of(headers) if headers else None
                record = Record(key, at_ms, now_ms, name, number, raw.offset, trace)
                state, outs = decide(before, value, record, *readings)
                if outs:
                    self._emit(outs, record, raw_key if key_of else b"")
                if state is not before:
                    dirty.setdefault(raw_key, before)
                    hot[raw_key] = state
        finally:
            self.at = at

    def _decide_on_copies(self, before: Any, value: Any, record: Record, *readings: Reading[Any]) -> Any:
        """The state decoded from its bytes before, and encoded after (R2)."""
        given = self.cache.copy(before)
        state, outs = self._decide(given, value, record, *readings)
        if state is given:
            return before, outs
        self.cache.copy(state)
        return state, outs

    def _load(self, raw: Consumed, raw_key: bytes, key: str, now_ms: int) -> Any:
        """Only a key without a state may be wrong; it is not cached then, so that the next is met."""
        state = self.cache.load(raw_key)
        if state is None and self.reader.topic.key_of and not self._at_home(raw_key, key):
            del self.cache.hot[raw_key]
            self._send_on(raw, key, now_ms)
        return state

    def _at_home(self, raw_key: bytes, key: str) -> bool:
        """There is a key, it is text to the last byte, and the partition is its own."""
        count = self.runtime.count(self.reader.topic.name)
        return raw_key != b"" and key.encode() == raw_key and partition_of(raw_key, count) == self.partition


class TimerLane:
    """The processor that a table's dues are told to."""

    def __init__(self, processor: Processor, partition: int, cache: Cache, runtime: Runtime) -> None:
        self.processor, self.partition, self.cache, self.runtime = processor, partition, cache, runtime
        self.readings: Sequence[Reading[Any]] = [runtime.readings[view] for view in processor.reads]

    def due(self, key: bytes) -> int | None:
        state = self.cache.state(key)
        return None if state is None else self.cache.table.due(state)

    def fire(self, key: bytes, due: Due, now_ms: int, *, careful: bool) -> None:
        """Raises ValueError when the processor leaves the due as it was: it would fire for ever."""
        cache = self.cache
        before = cache.state(key)
        record = Record(key.decode(errors="replace"), now_ms, now_ms, self.processor.row, self.partition)
        given = cache.copy(before) if careful else before
        state, outs = self.processor.run(given, due, record, *self.readings)
        if state is given and state is not None and cache.table.due(state) == due.due_ms:
            raise ValueError(f"{self.processor.name}: still due at {due.due_ms}")
        if careful:
            cache.copy(state)
        cause = f"{self.processor.row}/{self.partition}/{record.key}@{due.due_ms}"
        for encoded in self.runtime.encode_all(outs, record, cause=cause):
            self.runtime.append(encoded, now_ms)
        cache.fired.add(key)
        cache.put(key, before, state)
