"""A worker's engine: what the consumer may fetch, what an agent does with it, and the beat of commits and timers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic, perf_counter
from typing import Any

from aiokafka.structs import TopicPartition
from faust.types import TP

from app.engine.broker.codes import UnpinnedRecord
from app.engine.fatal import fatal
from app.engine.faults import fault_point
from app.engine.group.assignment import Assignment, Means
from app.engine.group.owned import Owned
from app.engine.group.rewinding import Rewinding
from app.engine.state.stored import Unreadable
from app.engine.tasks.clock import Clock
from app.engine.tasks.lane import Runtime
from app.engine.tasks.outbox import Outbox
from app.engine.tasks.task import Rewind
from app.engine.transactions.committer import Committer, Pace
from app.telemetry.logs import log

CHUNK_S = 0.004
TICK_S = 0.02
DRAIN_S = 4.0


class Gap(Exception):
    """Records of a partition are missing between two chunks."""


class Engine:
    def __init__(self, means: Means, runtime: Callable[[Outbox, Clock], Runtime], pace: Pace) -> None:
        self.app, self.transactions, self._fail = means.app, means.transactions, means.fail
        self.clock, outbox = Clock(), Outbox(means.cluster.limits)
        self.runtime = runtime(outbox, self.clock)
        self.committer = Committer(means.transactions, outbox, self.runtime.group, pace)
        self.assignment = Assignment(means, self.runtime, self.committer)
        self.committer.tasks = lambda: [owned.task for owned in self.assignment.ready]
        self._rewinding = Rewinding(self.assignment, self.committer, means.fail)
        self.timers_due = False
        self.ticked_at = monotonic()

    @property
    def owned(self) -> dict[tuple[str, int], Owned]:
        return self.assignment.owned

    @property
    def epoch(self) -> int:
        return self.assignment.epoch

    def wanted(self, active: Iterable[TopicPartition]) -> tuple[set[TP], bool]:
        """Partitions whose tasks take records now, and whether those are all."""
        assigned = [TP(at.topic, at.partition) for at in active]
        if self.committer.full or self._rewinding.going:
            return set(), False
        found = {
            at
            for at in assigned
            if (owned := self.assignment.by_source.get(TopicPartition(*at))) and owned.wants(at.topic)
        }
        return found, len(found) == len(assigned)

    def turn(self, chunk: Any) -> int:
        """0: goes before the others (R8)."""
        owned = self.assignment.by_source.get(TopicPartition(*chunk.at))
        return 0 if owned is not None and chunk.at.topic in owned.first else 1

    async def until_wanted(self) -> None:
        self.assignment.wanted.clear()
        try:
            async with asyncio.timeout(0.05):
                await self.assignment.wanted.wait()
        except TimeoutError:
            pass

    def delivered(self, chunk: Any) -> None:
        owned = self.assignment.by_source[TopicPartition(*chunk.at)]
        owned.chunks[chunk.at.topic] = owned.chunks.get(chunk.at.topic, 0) + 1

    async def process(self, chunk: Any) -> None:
        """What is left when the flow stops is read again. A task that waits holds nobody but itself (R5)."""
        owned = self.assignment.by_source.get(TopicPartition(*chunk.at))
        if owned is not None and (owned.parked or not await self._work(owned, chunk)):
            owned.parked.append(chunk)

    async def _resume(self, owned: Owned) -> None:
        parked = owned.parked
        with fatal(self._fail):
            while parked and await self._work(owned, parked[0]):
                parked.popleft()

    async def _work(self, owned: Owned, chunk: Any) -> bool:
        """In stretches of a few ms; False when the task waits for a view."""
        if chunk.epoch != self.epoch:
            return True
        at, reached = self._begin(owned, chunk), owned.task.positions[chunk.at.topic]
        while at < len(chunk.records):
            await self._until_room(chunk)
            while owned.behind(chunk.at.topic) and chunk.epoch == self.epoch:
                await self.until_wanted()
            if chunk.epoch != self.epoch or not owned.ready:
                return True
            self._check_still(owned, chunk, reached)
            begin, at = at, self._stretch(owned, chunk, at)
            reached = owned.task.positions[chunk.at.topic]
            if at > begin:
                fault_point("after_decide")
                owned.processed(chunk.at.topic, chunk.records[at - 1].timestamp, self.clock.now_ms())
                self.committer.noted()
            if owned.task.waiting is not None:
                return False
            await asyncio.sleep(0)
        self._done(owned, chunk)
        return True

    def _stretch(self, owned: Owned, chunk: Any, at: int) -> int:
        """The index up to which it was processed; the same when the task has to go back."""
        topic, until, now_ms = chunk.at.topic, perf_counter() + CHUNK_S, owned.now_ms(self.clock.now_ms())
        try:
            return owned.task.process(topic, self._share(owned, chunk, at), at, now_ms, until)
        except Rewind as rewind:
            self._rewinding.rewind(rewind)
        except Unreadable as error:
            self._rewinding.rebuild(owned, error)
        return at

    def _done(self, owned: Owned, chunk: Any) -> None:
        if chunk.epoch == self.epoch:
            owned.chunks[chunk.at.topic] -= 1
            self.committer.busy = not owned.quiet
            self.assignment.wanted.set()

    def _begin(self, owned: Owned, chunk: Any) -> int:
        """Raises Gap: what is not there must never be skipped."""
        position = owned.task.positions[chunk.at.topic]
        if chunk.start > position:
            raise Gap(f"{chunk.at.topic}/{chunk.at.partition}: a chunk starts at {chunk.start}, expected {position}")
        return next((n for n, record in enumerate(chunk.records) if record.offset >= position), len(chunk.records))

    def _check_still(self, owned: Owned, chunk: Any, reached: int) -> None:
        """Raises Gap: a task that was set back reads again, it does not go on."""
        position = owned.task.positions[chunk.at.topic]
        if position != reached:
            raise Gap(
                f"{chunk.at.topic}/{chunk.at.partition}: set back to {position} in a chunk that stood at {reached}"
            )

    def _share(self, owned: Owned, chunk: Any, at: int) -> Any:
        """All of the chunk, or one record when each shall have its own transaction."""
        if self.committer.one_by_one and not any(other.task.careful for other in self.owned.values()):
            self.committer.one_by_one = False
        return chunk.records[: at + 1] if self.committer.one_by_one and owned.task.careful else chunk.records

    async def _until_room(self, chunk: Any) -> None:
        while chunk.epoch == self.epoch and self.committer.full:
            self.committer.freed.clear()
            await self.committer.freed.wait()

    def mend(self, owned: Owned, error: Unreadable) -> None:
        """For who only looks: it stops nothing. What cannot be mended is left to the record that needs it (R3)."""
        if owned.ready and owned.mendable(error) and not self._rewinding.going:
            self._rewinding.rebuild(owned, error)

    async def drain(self) -> None:
        """Before partitions go: commit what is processed, four seconds at most."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await self.committer.drain()
        except TimeoutError:
            log.warning("drain_gave_up", seconds=DRAIN_S)

    def sight(self, at: TopicPartition) -> tuple[int, Any] | None:
        """Position and newest answer of a partition, as the consumer's thread last handed records over."""
        found: tuple[int, Any] | None = self.app.consumer._thread.snapshot.get(at)
        return found

    async def run(self) -> None:
        """Commits, and fires timers, until cancelled."""
        commits = asyncio.ensure_future(self._commits())
        try:
            while not commits.done():
                self._tick()
                await asyncio.sleep(TICK_S)
            commits.result()
        finally:
            commits.cancel()

    async def _commits(self) -> None:
        while True:
            try:
                await self.committer.run()
            except Rewind as rewind:
                self._rewinding.rewind(rewind)
            except UnpinnedRecord as refused:
                await self._rewinding.find_culprit(refused)
            await self._rewinding.over()

    def _tick(self) -> None:
        now_ms, self.ticked_at = self.clock.now_ms(), monotonic()
        self.clock.tell_of_jump()
        self.timers_due = sum(self._beat(owned, now_ms) for owned in self.owned.values()) > 0

    def _beat(self, owned: Owned, clock_ms: int) -> bool:
        """Whether the task has timers that are due."""
        if owned.parked and (owned.resuming is None or owned.resuming.done()):
            owned.resuming = asyncio.ensure_future(self._resume(owned))
        if self._rewinding.going:
            return False
        try:
            owned.store.flush_if_due()
            now_ms = owned.now_ms(clock_ms)
            due = owned.ready and self.assignment.settled and owned.timers.look(now_ms)
            if due and not self.committer.full and owned.timers.fire(now_ms, self.sight, owned.read(clock_ms)):
                self.committer.noted()
        except Rewind as rewind:
            self._rewinding.rewind(rewind)
        except Unreadable as error:
            self._rewinding.rebuild(owned, error)
        else:
            return due
        return False
