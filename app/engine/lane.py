"""A record's way through one task: decode, check the key, read the state, decide, encode, keep.

Nothing is kept and nothing appended before every out of the record is encoded and checked (R2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from app.domain.errors import NoKey, PassedOver, TooLarge
from app.engine.cache import MISSING, Cache
from app.engine.processor import Due, Out, Processor, Reading, Record, View
from app.engine.topology import Reader
from app.wire.dead_letter import Consumed
from app.wire.headers import trace_of
from app.wire.partition import partition as partition_of
from app.wire.topics import Envelope

AHEAD_MS = 5_000  # how far a record's own time may lie ahead of the task's (C1)
HEADER_OVERHEAD = 24


class Encoded(msgspec.Struct, frozen=True, gc=False):
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]

    @property
    def size(self) -> int:
        headers = sum(len(name) + len(value) + HEADER_OVERHEAD for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


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
    out_bytes: int = 1_000_000
    version: str = ""

    def count(self, topic: str) -> int:
        """Raises UnknownTopic."""
        found = self.counts.get(topic)
        if found is None:
            raise UnknownTopic(topic)
        return found

    def encode(self, out: Out, number: int, cause: str, now_ms: int, trace: bytes | None) -> Encoded:
        """Raises UnknownTopic, TooLarge."""
        topic = out.to
        envelope = Envelope(out.id or f"{cause}/{number}", out.key, now_ms, self.source)
        value, headers = topic.codec.encode(out.value, envelope)
        if context := trace or out.trace:
            headers.append(("traceparent", context))
        key = out.key.encode()
        if len(value) + len(key) > self.out_bytes:
            raise TooLarge(f"{topic.name}: {len(value)} bytes, and {self.out_bytes} fit")
        return Encoded(topic.name, partition_of(key, self.count(topic.name)), key, value, headers)

    def encode_all(self, outs: Iterable[Out], cause: str, now_ms: int, trace: bytes | None) -> list[Encoded]:
        return [self.encode(out, number, cause, now_ms, trace) for number, out in enumerate(outs)]


class Lane:
    """One source topic in one task. `step` and `careful_step` raise what the record's fate is made from."""

    def __init__(self, reader: Reader, partition: int, cache: Cache | None, runtime: Runtime) -> None:
        self.reader, self.partition, self.cache, self.runtime = reader, partition, cache, runtime
        self.readings = tuple(runtime.readings[view] for view in reader.processor.reads)
        self.step = self._stateless() if cache is None else self._stateful(cache, careful=False)
        self.careful_step = self.step if cache is None else self._stateful(cache, careful=True)

    def _stateless(self) -> Callable[[Consumed, int], None]:
        topic, run, readings = self.reader.topic, self.reader.processor.run, self.readings
        decode, name, number = topic.codec.decode, topic.name, self.partition

        def step(raw: Consumed, now_ms: int) -> None:
            value = decode(raw.value, raw.headers)
            key = raw.key.decode(errors="replace") if raw.key else ""
            at_ms, trace = min(raw.timestamp, now_ms + AHEAD_MS), trace_of(raw.headers) if raw.headers else None
            record = Record(key, at_ms, now_ms, name, number, raw.offset, trace)
            self._emit(run(value, record, *readings), record)

        return step

    def _stateful(self, cache: Cache, *, careful: bool) -> Callable[[Consumed, int], None]:
        topic, run, readings = self.reader.topic, self.reader.processor.run, self.readings
        decode, name, number, key_of = topic.codec.decode, topic.name, self.partition, topic.key_of

        def step(raw: Consumed, now_ms: int) -> None:
            value = decode(raw.value, raw.headers)
            raw_key = raw.key or b""
            key = raw_key.decode(errors="replace")
            if key_of is not None and (named := key_of(value)) != key:
                self._send_on(raw, named, now_ms)
            before = cache.hot.get(raw_key, MISSING)
            if before is MISSING:
                before = cache.load(raw_key)
            if before is None and key_of is not None:
                self._check_home(raw, raw_key, key, now_ms)
            at_ms = min(raw.timestamp, now_ms + AHEAD_MS)
            trace = trace_of(raw.headers) if raw.headers else None
            record = Record(key, at_ms, now_ms, name, number, raw.offset, trace)
            given = cache.copy(before) if careful else before
            state, outs = run(given, value, record, *readings)
            if careful and state is not given:
                cache.copy(state)
            if outs:
                self._emit(outs, record)
            if state is not given:
                cache.put(raw_key, before, state)

        return step

    def _emit(self, outs: Iterable[Out], record: Record) -> None:
        cause = f"{record.topic}/{record.partition}/{record.offset}"
        runtime, now_ms = self.runtime, record.now_ms
        for encoded in runtime.encode_all(outs, cause, now_ms, record.trace):
            runtime.append(encoded, now_ms)

    def _check_home(self, raw: Consumed, raw_key: bytes, key: str, now_ms: int) -> None:
        """Only a key without a state may lie on the wrong partition."""
        if partition_of(raw_key, self.runtime.count(self.reader.topic.name)) != self.partition:
            self._send_on(raw, key, now_ms)

    def _send_on(self, raw: Consumed, named: str, now_ms: int) -> None:
        """To where the body says that it belongs, unchanged (R1). Ends the record."""
        if not named:
            raise NoKey(f"{self.reader.topic.name}: neither the body nor the record names a key")
        key, name = named.encode(), self.reader.topic.name
        home = partition_of(key, self.runtime.count(name))
        sender = (dict(raw.headers).get("ce_source") or b"").decode(errors="replace")
        self.runtime.append(Encoded(name, home, key, raw.value, list(raw.headers)), now_ms)
        raise Misplaced(sender)


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
        for encoded in self.runtime.encode_all(outs, cause, now_ms, None):
            self.runtime.append(encoded, now_ms)
        cache.fired.add(key)
        cache.put(key, before, state)
