"""A task while this worker has it: its store, its partitions, and what was delivered to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from time import monotonic
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from app.engine.group.placement import TaskId
from app.engine.group.recovery import Refused, restore
from app.engine.state.rocks import RocksStore
from app.engine.state.stored import NewerFormat, Unreadable
from app.engine.tasks.clock import TaskClock
from app.engine.tasks.lane import AHEAD_MS
from app.engine.tasks.task import Task
from app.engine.tasks.timers import NEVER, Reading, Timers
from app.engine.topology import SubTopology
from app.telemetry import metrics
from app.wire.topics import changelog

CHUNKS_AHEAD = 2  # delivered and not processed: more are not fetched (R4)


class State(StrEnum):
    RESTORING = "restoring"
    READY = "ready"


class Owned:
    def __init__(self, task: Task, store: RocksStore, sources: list[TopicPartition], timer_wait_s: float) -> None:
        self.task, self.store, self.sub, self.number = task, store, task.sub, task.partition
        self.state, self.since = State.RESTORING, monotonic()
        self.changelog = TopicPartition(changelog(self.sub.row).name, self.number)
        task.changelog_partitions = task.runtime.counts[self.changelog.topic]
        self.sources = sources
        self.clock = TaskClock()
        self.timers = Timers(self.task, self.sources, timer_wait_s)
        self.chunks: dict[str, int] = {}  # by topic: delivered, not processed yet
        self.first = self.sub.first
        self.newest_ms: dict[str, int] = {}  # by topic: the time of the newest record that was processed
        self.restored, self.left = 0, 0
        self.rebuilt = False
        self.parked: deque[Any] = deque()  # chunks of a task that waits
        self.resuming: asyncio.Task[None] | None = None
        self.opening: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        return self.state is State.READY

    @property
    def reading(self) -> bool:
        """Nothing holds it on purpose."""
        return self.ready and self.task.waiting is None

    @property
    def quiet(self) -> bool:
        """Everything that was delivered is processed."""
        return not any(self.chunks.values())

    def mendable(self, error: Unreadable) -> bool:
        """By the changelog, once (R3)."""
        return not self.rebuilt and not isinstance(error, NewerFormat)

    def behind(self, topic: str) -> bool:
        """Something was delivered that goes before it (R8), and does not itself wait for a view."""
        return topic not in self.first and not self.parked and any(self.chunks.get(other) for other in self.first)

    def wants(self, topic: str) -> bool:
        return self.reading and self.chunks.get(topic, 0) < CHUNKS_AHEAD

    def now_ms(self, clock_ms: int) -> int:
        """On the task's clock."""
        return self.clock.now_ms(clock_ms)

    def read(self, clock_ms: int) -> dict[str, Reading]:
        """Times of records, which others' clocks say, on the task's."""
        ahead_ms = self.now_ms(clock_ms) - clock_ms
        newest = {topic: found + ahead_ms for topic, found in self.newest_ms.items() if found != NEVER}
        return {at.topic: Reading(newest.get(at.topic, NEVER), not self.chunks.get(at.topic)) for at in self.sources}

    def processed(self, topic: str, newest_ms: int, clock_ms: int) -> None:
        """A timestamp from far ahead says nothing of what is still unread."""
        self.newest_ms[topic] = newest_ms if newest_ms <= clock_ms + AHEAD_MS else NEVER

    def unready(self) -> None:
        """Until it is opened anew; an opening that is on its way would give it back under an old claim."""
        self.state, self.since = State.RESTORING, monotonic()
        if self.opening is not None:
            self.opening.cancel()
        self.undeliver()

    def undeliver(self) -> None:
        """What was delivered is given up, and comes again."""
        self.chunks, self.newest_ms, self.parked = {}, {}, deque()
        self.task.waiting = None

    async def catch_up(self, client: AIOKafkaClient, choose: Callable[[Mapping[str, int]], dict[str, int]]) -> None:
        """Read the changelog's tail; the cache stays only if there was none, and the positions are its own (T3)."""
        labels = (self.sub.row, str(self.number))

        def progress(rows: int, left: int) -> None:
            metrics.RESTORED.add((), rows - self.restored)
            metrics.RESTORE_REMAINING.set(labels, left)
            self.restored, self.left = rows, left

        self.restored = 0
        rows = await restore(client, self.changelog, self.store, progress)
        metrics.RESTORE_REMAINING.forget(labels)
        self._check_group()
        positions = choose(self.store.meta.positions)
        if rows or positions != self.task.positions:
            self.task.start(positions)

    def _check_group(self) -> None:
        """Raises Refused: the group names the state, so another one would begin anew with the old one's sagas."""
        kept, group = self.store.meta.group, self.task.runtime.group
        if kept not in ("", group):
            raise Refused(f"{self.changelog.topic} holds the state of group {kept!r}, and this worker is of {group!r}")

    def arrived(self) -> None:
        self.clock.start(self.task.now_ms, self.task.runtime.clock())
        self.state, self.since = State.READY, monotonic()

    async def close(self) -> None:
        """Off the loop: closing flushes."""
        if self.opening is not None:
            self.opening.cancel()
            await asyncio.gather(self.opening, return_exceptions=True)
        await asyncio.to_thread(self.store.close)


def tasks_of(subs: Iterable[SubTopology], assigned: Iterable[tuple[str, int]]) -> dict[TaskId, list[TopicPartition]]:
    """The tasks that assigned partitions belong to, with those that each reads."""
    rows = {name: sub.row for sub in subs for name in sub.readers}
    found: dict[TaskId, list[TopicPartition]] = {}
    for topic, number in sorted(assigned):
        found.setdefault((rows[topic], number), []).append(TopicPartition(topic, number))
    return found
