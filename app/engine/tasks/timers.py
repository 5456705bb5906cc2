"""When the timers of a task may fire: never while a reply may still lie unread (C3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, NamedTuple

from aiokafka.structs import TopicPartition

from app.engine.tasks.task import Task
from app.telemetry import metrics

Sight = Callable[[TopicPartition], tuple[int, Any] | None]  # (position, Seen) as the consumer has it
NEVER = 0


class Held(NamedTuple):
    """What holds a timer up, and since when on the monotonic clock."""

    at: TopicPartition
    position: int
    since: float


class Reading(NamedTuple):
    """How far a source partition is processed: the newest record's time, and whether no other was delivered."""

    newest_ms: int = NEVER
    done: bool = True


class Timers:
    """Of one task. Instants are on the task's clock, but for `since`."""

    def __init__(self, task: Task, sources: Iterable[TopicPartition], wait_s: float) -> None:
        self.task, self._sources, self._wait_s = task, tuple(sources), wait_s
        self._stuck: dict[TopicPartition, Held] = {}
        self.first_due: int | None = None

    @property
    def held(self) -> Held | None:
        return next(iter(self._stuck.values()), None)

    def look(self, now_ms: int) -> bool:
        """Whether something is due at all."""
        task = self.task
        found = task.store.due(task.cursor, max(now_ms, task.now_ms), 1) if task.timers else []
        self.first_due = found[0][0] if found else None
        if not found:
            self._stuck.clear()
        return bool(found)

    def fire(self, now_ms: int, sight: Sight, read: Mapping[str, Reading]) -> int:
        """Fires what is due and may fire; returns how many index entries were met."""
        if self.first_due is None:
            return 0
        until_ms, late, held = now_ms, False, False
        for at in self._sources:
            clear_ms = self._clear_until(at, now_ms, sight, read.get(at.topic, Reading()))
            if clear_ms >= self.first_due:
                self._stuck.pop(at, None)
                until_ms = min(until_ms, clear_ms)
            elif self._waited_enough(at, sight, read.get(at.topic, Reading())):
                late = True
            else:
                held = True
        fired = 0 if held else self.task.fire(now_ms, until_ms)
        metrics.TIMERS_HELD.add((), fired if late else 0)
        return fired

    def _clear_until(self, at: TopicPartition, now_ms: int, sight: Sight, read: Reading) -> int:
        """No record older than this is unread.

        A record that was processed tells its own time; a fetch that was empty at the high watermark,
        behind which no open transaction can hide anything, tells when it was asked.
        """
        position, seen = sight(at) or (-1, None)
        if seen is None or not read.done or not seen.empty or seen.offset != position:
            return read.newest_ms
        if not seen.stable_offset == seen.high_watermark == seen.offset:
            return read.newest_ms
        return max(read.newest_ms, now_ms - int((monotonic() - seen.asked_at) * 1000) - 1)

    def _waited_enough(self, at: TopicPartition, sight: Sight, read: Reading) -> bool:
        """A foreign open transaction may hide records for ever, and answers must have said so all the time.

        Anything else is waited out: a backlog, records that are not processed yet, a broker that does not answer.
        """
        (position, seen), held = sight(at) or (-1, None), self._stuck.get(at)
        hides = seen is not None and seen.empty and position == seen.offset == seen.stable_offset < seen.high_watermark
        if held is None or held.position != position or not (hides and read.done):
            held = self._stuck[at] = Held(at, position, monotonic())
        return seen is not None and bool(seen.asked_at - held.since >= self._wait_s)
