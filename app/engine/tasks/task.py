"""One partition number of one sub-topology: what happens to its records, up to the commit.

No broker and no event loop here: the worker and the driver run the same task, over another store
and another outbox.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

from app.domain.errors import NotYet, PassedOver, Rejected, TooLarge
from app.engine.processor import Due
from app.engine.state.cache import Cache
from app.engine.state.store import FIRST, Entry, Meta, Store, Write
from app.engine.state.stored import Unreadable
from app.engine.tasks.fate import Fate, bug, expired, settled
from app.engine.tasks.fate import failed as failed_record
from app.engine.tasks.lane import Encoded, Lane, Misplaced, Runtime, TableLane, TimerLane, UnknownTopic
from app.engine.topology import Reader, SubTopology
from app.wire.dead_letter import Consumed

STEPS_BETWEEN_LOOKS_AT_THE_CLOCK = 32
TIMERS_A_CHUNK = 256
RETRY_OF_A_FAILED_TIMER_MS = 60_000
RETRY_OF_A_WAITING_TIMER_MS = 1_000
CAREFUL_BEYOND = 1_000  # offsets, when more than one in twenty failed


class Rewind(Exception):
    """A failure that is not pinned on one record yet: drop what is not committed, read it again with care (R2)."""

    def __init__(self, task: Task, reason: str) -> None:
        super().__init__(f"{task.name}: {reason}")
        self.task, self.reason = task, reason


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one transaction says of one task."""

    task: Task
    write: Write
    fates: Mapping[tuple[str, str, str], int]
    records: int


class Waiting(NamedTuple):
    """The task is held until `view` has `key`, or is known not to have it."""

    view: str
    key: str


class Task:
    def __init__(self, sub: SubTopology, partition: int, store: Store, runtime: Runtime, cache_bytes: int) -> None:
        self.sub, self.partition, self.store, self.runtime = sub, partition, store, runtime
        self.name = f"{sub.row}-{partition}"
        self.caches = {table.id: Cache(table, store, cache_bytes) for table in sub.tables}
        self.lanes = {name: self._lane(reader) for name, reader in sub.readers.items()}
        self.timers = {
            table_id: TimerLane(processor, partition, self.caches[table_id], runtime)
            for table_id, processor in sub.timers.items()
        }
        self.waiting: Waiting | None = None
        self.changelog_partitions = 0
        self.condemned: dict[tuple[str, int], str] = {}  # records that the broker would not take, and why
        self.unsendable: dict[bytes, str] = {}  # the same of timers, by state key
        self.careful_until: dict[str, int] = {}
        self.careful_timers_until = FIRST  # careful while the cursor is before it
        self._start: dict[str, int] = {}
        self.forget()

    def _lane(self, reader: Reader) -> Lane:
        table = reader.processor.keeps
        if table is None:
            return Lane(reader, self.partition, self.runtime)
        return TableLane(reader, self.partition, self.runtime, self.caches[table.id])

    def start(self, positions: Mapping[str, int]) -> None:
        """Where to go on; what is not committed is forgotten, and comes again from there."""
        self._start = dict(positions)
        self.forget()

    def forget(self) -> None:
        """Back to what is committed."""
        meta = self.store.meta
        self.positions = self.committed
        self.now_ms, self.cursor, self.marks = meta.now_ms, meta.cursor, dict(meta.marks)
        self.records, self.fired, self.sent = 0, 0, False
        self.fates = expired(meta.expired)
        self._entries: list[Entry] = []
        self._gone: list[Entry] = []
        for cache in self.caches.values():
            cache.drop()

    @property
    def committed(self) -> dict[str, int]:
        """Where it goes on after a crash, by topic."""
        return self._start | dict(self.store.meta.positions)

    def rewind(self) -> None:
        """Forget, and take care until everything that had been read or fired is so again."""
        for topic, at in self.positions.items():
            if at > self.store.meta.positions.get(topic, self._start.get(topic, 0)):
                self.careful_until[topic] = max(at, self.careful_until.get(topic, 0))
        if self.fired:
            self.careful_timers_until = max(self.cursor, self.careful_timers_until)
        self.forget()

    @property
    def careful(self) -> bool:
        return bool(self.careful_until) or self.careful_timers

    @property
    def careful_timers(self) -> bool:
        return self.cursor < self.careful_timers_until

    @property
    def pending(self) -> bool:
        return self.records > 0

    def note_expired(self) -> bool:
        """Whether records expired unread: a step of its own, so that it is told before another record comes."""
        self.records += bool(self.store.meta.expired)
        return bool(self.store.meta.expired)

    @property
    def ahead(self) -> bool:
        """Memory says something that the store does not: processed, half processed, or in a transaction that failed."""
        return self.records > 0 or self.sent or any(cache.dirty for cache in self.caches.values())

    @property
    def dirty_bytes(self) -> int:
        return sum(len(cache.dirty) * cache.mean for cache in self.caches.values())

    def condemn(self, snapshot: Snapshot, why: str) -> None:
        """The one record, or the one timer, of the snapshot: the broker refuses what it sends."""
        committed = self.store.meta.positions
        for topic, at in snapshot.write.meta.positions.items():
            if at != committed.get(topic, self._start.get(topic)):
                self.condemned[topic, at - 1] = why
        self.unsendable |= {key: why for _, key in snapshot.write.gone}

    def process(self, topic: str, records: Sequence[Consumed], begin: int, now_ms: int, until: float) -> int:
        """Records from index `begin` on; returns the index of the first one left for the next chunk.

        `until` is on the `perf_counter` clock. Raises Rewind; what a store raises goes through.
        """
        self.now_ms = now_ms = max(now_ms, self.now_ms)
        self.waiting, careful, at, failed = None, topic in self.careful_until, begin, 0
        lane = self.lanes[topic]
        run = lane.run_carefully if careful else lane.run
        try:
            while at < len(records) and (at == begin or perf_counter() <= until):
                end = min(at + STEPS_BETWEEN_LOOKS_AT_THE_CLOCK, len(records)) if not self.condemned else at + 1
                failure = self._condemned(topic, records[at])
                if failure is None:
                    failure = self._attempt(partial(run, records, at, end, now_ms), careful)
                    at = lane.at if failure else end
                if isinstance(failure, NotYet):
                    self.waiting = Waiting(failure.view, failure.key)
                    break
                if failure is not None:
                    failed += self._settle(topic, records[at], failure)
                    at += 1
        except Rewind:
            self.careful_until[topic] = records[lane.at].offset + 1
            raise
        except Unreadable as error:
            raise type(error)(f"{error}, read for {topic}/{self.partition} at {records[lane.at].offset}") from error
        self._advance(topic, records, begin, at, failed)
        return at

    def _condemned(self, topic: str, raw: Consumed) -> Exception | None:
        why = self.condemned.pop((topic, raw.offset), None) if self.condemned else None
        return None if why is None else TooLarge(why)

    def _attempt(self, work: Callable[[], None], careful: bool) -> Exception | None:
        try:
            work()
        except (Rejected, PassedOver, NotYet) as failure:
            return failure
        except (UnknownTopic, Unreadable):
            raise
        except Exception as error:
            if any(cache.loading for cache in self.caches.values()):
                raise
            if not careful:
                raise Rewind(self, "bug") from error
            return error
        return None

    def _settle(self, topic: str, raw: Consumed, failure: Exception) -> int:
        """Give the record its fate; 1 if that is the dead-letter topic."""
        if isinstance(failure, PassedOver):
            fate = Fate.MISPLACED if isinstance(failure, Misplaced) else Fate.PASSED_OVER
            self.fates[topic, fate, failure.reason] += 1
            return 0
        error = failure if isinstance(failure, Rejected) else bug(failure)
        target, number, letter = failed_record(raw, error, self, topic)
        self.runtime.append(Encoded(target, number, letter.key, letter.value, letter.headers), self.now_ms)
        self.fates[topic, Fate.DEAD_LETTERED, error.reason] += 1
        return 1

    def _advance(self, topic: str, records: Sequence[Consumed], begin: int, end: int, failed: int) -> None:
        if end == begin:
            return
        reached = records[end - 1].offset + 1
        self.positions[topic] = reached
        self.records += end - begin
        self.fates[topic, Fate.READ, ""] += end - begin
        if topic in self.careful_until:
            if failed * 20 > end - begin:
                self.careful_until[topic] = max(self.careful_until[topic], reached + CAREFUL_BEYOND)
            elif reached >= self.careful_until[topic]:
                del self.careful_until[topic]

    def fire(self, now_ms: int, until_ms: int) -> int:
        """Run the timers that were due by `until_ms`, at most 256 of them; returns how many index entries were met."""
        self.now_ms = now_ms = max(now_ms, self.now_ms)
        careful = self.careful_timers
        entries = self.store.due(self.cursor, until_ms, 1 if careful else TIMERS_A_CHUNK)
        self.fired += len(entries)
        for due_ms, key in entries:
            self.cursor = (due_ms, key + b"\0")
            self._gone.append((due_ms, key))
            self._meet(key, now_ms, until_ms, careful)
        self.records += len(entries)
        return len(entries)

    def _meet(self, key: bytes, now_ms: int, until_ms: int, careful: bool) -> None:
        """One index entry: fire it, move it if it came too early, or drop it if it means nothing any more."""
        lane, own = self.timers[key[0]], key[1:]
        self.caches[key[0]].fired.add(own)  # the entry is gone: whatever due comes next needs one of its own
        due_ms = lane.due(own)
        if due_ms is None:
            return
        if due_ms > until_ms:
            self._entries.append((due_ms, key))
            return
        failure = self._unsendable(key) or self._attempt(
            partial(lane.fire, own, Due(due_ms), now_ms, careful=careful), careful
        )
        if failure is None:
            self.fates[self.sub.row, Fate.FIRED, ""] += 1
        elif isinstance(failure, NotYet):
            self._entries.append((now_ms + RETRY_OF_A_WAITING_TIMER_MS, key))
        else:
            self.runtime.complain(
                "timer_failed", row=self.sub.row, key=own.decode(errors="replace"), error=repr(failure)
            )
            self._entries.append((now_ms + RETRY_OF_A_FAILED_TIMER_MS, key))

    def _unsendable(self, key: bytes) -> Exception | None:
        why = self.unsendable.pop(key, None)
        return None if why is None else TooLarge(why)

    def snapshot(self) -> Snapshot:
        """Everything since the last one. Raises Rewind when a state cannot be encoded."""
        entries, gone, changes = self._entries, self._gone, []
        marks = dict(self.marks)
        try:
            for cache in self.caches.values():
                changes += cache.changes(entries, marks, self.now_ms)
        except (TypeError, ValueError, OverflowError, struct.error) as error:
            raise Rewind(self, "state-encode") from error
        fates, records = settled(self.fates), self.records
        self._entries, self._gone, self.fates, self.records, self.marks = [], [], Counter(), 0, marks
        cursor = min([self.cursor, *entries])
        offset, group = self.store.meta.changelog_offset, self.runtime.group
        meta = Meta(offset, dict(self.positions), self.now_ms, cursor, marks, group)
        self.sent = True
        return Snapshot(self, Write(changes, entries, gone, meta), fates, records)

    def wrote(self, write: Write) -> None:
        """The snapshot's write has returned."""
        self.sent = False
        if write.entries:
            self.cursor = min([self.cursor, *write.entries])
        self.fired -= len(write.gone)
        for cache in self.caches.values():
            cache.rotate()

    def read(self, table_id: int, key: bytes) -> Any:
        """The committed state of a key, None if there is none."""
        raw = self.store.get(bytes([table_id]) + key)
        return None if raw is None else self.caches[table_id].codec.unpack(raw)


__all__ = ["Encoded", "Rewind", "Runtime", "Snapshot", "Task", "Waiting"]
