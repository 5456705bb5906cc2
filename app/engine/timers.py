"""When the timers of a task may fire: never while a reply may still lie unread (C3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, NamedTuple

from aiokafka.structs import TopicPartition

from app.engine.task import Task
from app.telemetry import metrics

Sight = Callable[[TopicPartition], tuple[int, Any] | None]  # (position, Seen) as the consumer has it


class Held(NamedTuple):
    """What holds a timer up, and since when on the monotonic clock."""

    at: TopicPartition
    position: int
    since: float


class Timers:
    """Of one task. `quiet` says that everything delivered has been processed."""

    def __init__(self, task: Task, sources: Iterable[TopicPartition], wait_s: float) -> None:
        self.task, self._sources, self._wait_s = task, tuple(sources), wait_s
        self.held: Held | None = None
        self._asked_after = 0.0  # monotonic: when the due was first met
        self.due = False

    def look(self, now_ms: int) -> bool:
        """Whether something is due at all."""
        task = self.task
        self.due = bool(task.timers) and bool(task.store.due(task.cursor, max(now_ms, task.now_ms), 1))
        if not self.due:
            self.held, self._asked_after = None, 0.0
        elif not self._asked_after:
            self._asked_after = monotonic()
        return self.due

    def fire(self, now_ms: int, sight: Sight, *, quiet: bool) -> int:
        """Fires what is due and may fire; returns how many index entries were met."""
        if not self.due or not quiet:
            return 0
        holding = next((at for at in self._sources if not self._clear(at, sight)), None)
        if holding is not None and not self._waited_enough(holding, sight):
            return 0
        return self.task.fire(now_ms)

    def _clear(self, at: TopicPartition, sight: Sight) -> bool:
        """A fetch asked after the due was empty at the high watermark."""
        found = sight(at)
        if found is None or found[1] is None:
            return False
        position, seen = found
        asked_late_enough = seen.asked_at >= self._asked_after and seen.offset == position and seen.empty
        return bool(asked_late_enough and seen.stable_offset == seen.high_watermark == seen.offset)

    def _waited_enough(self, at: TopicPartition, sight: Sight) -> bool:
        position = (sight(at) or (-1, None))[0]
        if self.held is None or (self.held.at, self.held.position) != (at, position):
            self.held = Held(at, position, monotonic())
        if monotonic() - self.held.since < self._wait_s:
            return False
        metrics.TIMERS_HELD.add(())
        return True
