"""The whole topology in memory: no broker, no event loop, no clock but its own.

What Kafka Streams calls TopologyTestDriver. The same tasks, processors and codecs as in the
worker; a transaction for each record. With `careful=True` every record also takes the way of
a record that is read again after a failure.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from app.domain.duration import duration_ms
from app.engine.processor import Processor, Reading, Table, View
from app.engine.readings import Complete
from app.engine.state.store import MemoryStore
from app.engine.tasks.fate import Fate
from app.engine.tasks.lane import Encoded, Runtime
from app.engine.tasks.task import Rewind, Task
from app.engine.topology import build
from app.wire.dead_letter import DeadLetter
from app.wire.partition import partition
from app.wire.topics import Envelope, Headers, Sources, Topic, dead_letters

S = TypeVar("S")
EPOCH_MS = 1_790_000_000_000


class Sent(NamedTuple):
    """A record in the driver's log."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_type: int = 0


class Driver:
    def __init__(
        self,
        processors: Iterable[Processor],
        named: Mapping[Sources, Sequence[Topic]] | None = None,
        settings: Mapping[View[Any], Callable[[str], Any]] | None = None,
        *,
        partitions: int = 4,
        careful: bool = False,
    ) -> None:
        """`settings` answers the views that no topic fills."""
        self.now_ms = EPOCH_MS
        self.complaints: list[tuple[str, dict[str, Any]]] = []
        self._partitions, self._careful = partitions, careful
        self._subs = build(processors, named or {})
        self._views: dict[str, tuple[View[Any], dict[str, Any]]] = {}
        self._logs: dict[tuple[str, int], list[Sent]] = {}
        self._order: dict[str, list[Sent]] = {}
        self._outbox: list[tuple[Encoded, int]] = []
        self._queue: deque[tuple[str, int]] = deque()
        self._fates: dict[tuple[str, str, str], int] = {}
        self._runtime = Runtime(
            _Counts(partitions), self._append, self._readings(settings or {}), self._complain, lambda: self.now_ms
        )
        self.tasks = {(row, number): self._task(row, number) for row in self._subs for number in range(partitions)}

    def _readings(self, settings: Mapping[View[Any], Callable[[str], Any]]) -> dict[View[Any], Reading[Any]]:
        found: dict[View[Any], Reading[Any]] = {}
        for view in {view for sub in self._subs.values() for view in sub.views}:
            content: dict[str, Any] = {}
            if view.topic is not None:
                self._views[view.topic.name] = (view, content)
            found[view] = Complete(view.name, settings.get(view, content.get))
        return found

    def _task(self, row: str, number: int) -> Task:
        task = Task(self._subs[row], number, MemoryStore(), self._runtime, cache_bytes=1 << 20)
        if self._careful:
            task.careful_until = dict.fromkeys(task.lanes, sys.maxsize)
            task.careful_timers_until = (sys.maxsize, b"")
        return task

    def _append(self, out: Encoded, timestamp_ms: int) -> None:
        self._outbox.append((out, timestamp_ms))

    def _complain(self, event: str, **fields: Any) -> None:
        self.complaints.append((event, fields))

    def send(self, to: Topic, key: str | bytes | None, value: Any, headers: Headers = (), *, id: str = "") -> None:  # noqa: A002
        """Bytes and None go as they are, so that a test can send rubbish; anything else through the topic's codec."""
        raw_key = key.encode() if isinstance(key, str) else key
        if value is not None and not isinstance(value, bytes):
            value, made = to.codec.encode(
                value, Envelope(id or f"sent-{len(self._order.get(to.name, ()))}", str(key), self.now_ms)
            )
            headers = [*made, *headers]
        number = partition(raw_key, self._partitions) if raw_key else 0
        self._log(Encoded(to.name, number, raw_key, value, list(headers)), self.now_ms)
        self._run()

    def advance(self, duration: str | int) -> None:
        """Let time pass, `"30s"` or ms; each timer fires at the instant when it is due."""
        until = self.now_ms + duration_ms(duration)
        while (due := min(self._dues(until), default=None)) is not None:
            self.now_ms = max(self.now_ms, due)
            for task in self.tasks.values():
                self._step(task, partial(task.fire, self.now_ms, self.now_ms))
            self._run()
        self.now_ms = until

    def _dues(self, until_ms: int) -> list[int]:
        return [due for task in self.tasks.values() for due, _ in task.store.due(task.cursor, until_ms, 1)]

    def outputs(self, topic: Topic) -> list[tuple[str, Any]]:
        """(key, value) of every record of the topic, in the order in which they were sent."""
        return [(_text(sent.key), topic.codec.decode(sent.value, sent.headers)) for sent in self.records(topic)]

    def records(self, topic: Topic) -> list[Sent]:
        return self._order.get(topic.name, [])

    def table(self, table: Table[S]) -> dict[str, S]:
        """Committed states by key."""
        prefix, found = bytes([table.id]), dict[str, S]()
        for task in self.tasks.values():
            if table in task.sub.tables:
                codec = task.caches[table.id].codec
                found |= {
                    key[1:].decode(): codec.unpack(raw) for key, raw in task.store.scan(prefix, prefix, sys.maxsize)
                }
        return found

    @property
    def fates(self) -> dict[tuple[str, str, str], int]:
        """Counts by topic, fate and reason."""
        return dict(self._fates)

    def dead(self, source: Topic) -> list[DeadLetter]:
        return [DeadLetter.read(sent.key, sent.value, sent.headers) for sent in self.records(dead_letters(source.name))]

    def _run(self) -> None:
        while self._queue:
            topic, number = self._queue.popleft()
            for (row, own), task in self.tasks.items():
                if own == number and topic in self._subs[row].readers:
                    self._consume(task, topic, number)

    def _consume(self, task: Task, topic: str, number: int) -> None:
        log = self._logs[topic, number]
        while (at := task.positions.get(topic, 0)) < len(log):
            self._step(task, partial(task.process, topic, log[at : at + 1], 0, self.now_ms, perf_counter() + 60))

    def _step(self, task: Task, work: Callable[[], int]) -> None:
        try:
            work()
            self._commit(task)
        except Rewind:
            self._outbox.clear()
            task.rewind()

    def _commit(self, task: Task) -> None:
        snapshot = task.snapshot()
        task.store.write(snapshot.write)
        task.wrote(snapshot.write)
        for key, count in snapshot.fates.items():
            self._fates[key] = self._fates.get(key, 0) + count
        outs, self._outbox = self._outbox, []
        for out, timestamp in outs:
            self._log(out, timestamp)

    def _log(self, out: Encoded, timestamp: int) -> None:
        log = self._logs.setdefault((out.topic, out.partition), [])
        sent = Sent(len(log), timestamp, out.key, out.value, tuple(out.headers))
        log.append(sent)
        self._order.setdefault(out.topic, []).append(sent)
        self._queue.append((out.topic, out.partition))
        if out.topic in self._views:
            view, content = self._views[out.topic]
            assert view.topic is not None
            content[_text(sent.key)] = None if sent.value is None else view.topic.codec.decode(sent.value, sent.headers)


class _Counts(dict[str, int]):
    """Every topic has the same number of partitions."""

    def __init__(self, partitions: int) -> None:
        super().__init__()
        self._partitions = partitions

    def get(self, _topic: str, _default: Any = None) -> int:
        return self._partitions


def _text(key: bytes | None) -> str:
    return (key or b"").decode(errors="replace")


__all__ = ["EPOCH_MS", "Driver", "Fate", "Sent"]
