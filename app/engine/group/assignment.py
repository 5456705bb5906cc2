"""Which tasks this worker has, and how each gets ready after the group has given it (T3, T4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IllegalStateError
from aiokafka.structs import TopicPartition
from faust.types import TP

from app.engine.broker.cluster import Cluster, grow
from app.engine.fatal import fatal
from app.engine.group.owned import Owned, tasks_of
from app.engine.group.placement import TaskId
from app.engine.group.recovery import Refused, holds, stable_offsets, starting_positions
from app.engine.group.rollcall import RollCall
from app.engine.group.slots import STORES
from app.engine.state.rocks import Identity, RocksStore
from app.engine.tasks.lane import Runtime
from app.engine.tasks.task import Task
from app.engine.topology import SubTopology
from app.engine.transactions.committer import Committer
from app.engine.transactions.transaction import Claim, Transactions
from app.telemetry import metrics
from app.telemetry.logs import log
from app.wire.topics import changelog

HALF_OF_DELETE_RETENTION_MS = 7 * 86_400_000 // 2


class Place(NamedTuple):
    """Where this worker runs: one slot of a data directory, one cluster."""

    directory: Path
    cluster: str
    topic_ids: Mapping[str, str]  # of the changelogs


class Means(NamedTuple):
    """What the worker hands its engine."""

    app: Any
    subs: Mapping[str, SubTopology]
    client: AIOKafkaClient
    transactions: Transactions
    cluster: Cluster
    roll: RollCall
    place: Place
    reset: str
    cache_bytes: int
    timer_wait_s: float
    fail: Callable[[BaseException], None]


class Assignment:
    def __init__(self, means: Means, runtime: Runtime, committer: Committer) -> None:
        self._means, self._runtime, self._committer = means, runtime, committer
        self.roll = means.roll
        self.owned: dict[TaskId, Owned] = {}
        self.by_source: dict[TopicPartition, Owned] = {}
        self.epoch = 0  # of seeks: chunks fetched before the newest one are dropped
        self.claim: Claim | None = None  # the newest; the committer's is the one that tasks were taken under
        self.joining_since: float | None = monotonic()  # None: joined
        self.changing = asyncio.Lock()
        self._closing: dict[TaskId, asyncio.Future[None]] = {}
        self.wanted = asyncio.Event()

    @property
    def ready(self) -> list[Owned]:
        return [owned for owned in self.owned.values() if owned.ready]

    @property
    def topics(self) -> set[str]:
        """All that tasks read."""
        return {name for sub in self._means.subs.values() for name in sub.readers}

    @property
    def settled(self) -> bool:
        """No rebalance has begun since the tasks were taken."""
        return self._committer.claim is self.claim

    def claimed(self, claim: Claim) -> None:
        """From the consumer thread: assigning the reference is all that it does."""
        self.claim = claim

    def revoked(self) -> None:
        """Chunks in hand are given up between two stretches, and no timer fires: the claim is about to end."""
        self.epoch += 1
        self.claim, self.joining_since = None, monotonic()

    async def assign(self, assigned: Iterable[TP], generation: int) -> None:
        claim = self.claim
        if claim is None or claim.generation != generation:
            return
        async with self.changing:
            metrics.REBALANCES.add(())
            for owned in self.owned.values():
                owned.unready()
            await self._committer.settled()
            wanted = tasks_of(self._means.subs.values(), assigned)
            await self._let_go(wanted)
            self._committer.forget()
            self._committer.claim = claim
            await self._means.transactions.init()
            if claim is not self.claim:
                return
            await grow(self._means.client, self._changelogs(wanted), self._means.cluster)
            await self._take(wanted, claim)
            if claim is self.claim:
                self.joining_since = None
                names = sorted(owned.task.name for owned in self.owned.values())
                log.info("tasks_assigned", generation=claim.generation, tasks=names)

    def _changelogs(self, tasks: Iterable[TaskId]) -> dict[str, int]:
        """Partitions that are needed: where a row has no table its topics may grow, and then it has more tasks."""
        return {changelog(row).name: number + 1 for row, number in sorted(tasks)}

    async def _let_go(self, kept: Mapping[TaskId, list[TopicPartition]]) -> None:
        """One whose partitions are others is opened anew."""
        for key in [key for key, owned in self.owned.items() if kept.get(key) != owned.sources]:
            owned = self.owned.pop(key)
            for at in owned.sources:
                self.by_source.pop(at, None)
            self._closing[key] = asyncio.ensure_future(owned.close())
        await asyncio.shield(asyncio.gather(*self._closing.values()))
        self._closing.clear()

    async def _take(self, wanted: Mapping[TaskId, list[TopicPartition]], claim: Claim) -> None:
        self.epoch += 1
        for task, partitions in wanted.items():
            owned = self.owned.get(task)
            if owned is None:
                await self._closed(task)
                owned = self.owned[task] = self._open(*task, partitions)
                self.by_source |= dict.fromkeys(owned.sources, owned)
            owned.unready()
            if owned.task.ahead:
                owned.task.forget()
        sources = [at for owned in self.owned.values() for at in owned.sources]
        offsets = await stable_offsets(self._means.client, self._runtime.group, sources) if sources else {}
        bounds = await self._bounds(sources)
        for owned in self.owned.values():
            if owned.opening is not None:
                owned.opening.cancel()
            owned.opening = asyncio.ensure_future(self._ready(owned, offsets, bounds, claim))

    async def _closed(self, key: TaskId) -> None:
        """A rebalance that overtook another may find the store still being closed: its lock is not given back yet."""
        if key in self._closing:
            await asyncio.shield(self._closing[key])
            del self._closing[key]

    def _open(self, row: str, number: int, partitions: list[TopicPartition]) -> Owned:
        place, means, clock_ms = self._means.place, self._means, self._runtime.clock()
        identity = Identity(place.cluster, f"{place.topic_ids[changelog(row).name]}/{number}")
        path = place.directory / STORES / f"{row}-{number}"
        store = RocksStore(path, identity, oldest_ms=clock_ms - HALF_OF_DELETE_RETENTION_MS, clock_ms=clock_ms)
        task = Task(means.subs[row], number, store, self._runtime, means.cache_bytes)
        return Owned(task, store, partitions, means.timer_wait_s)

    async def _bounds(self, sources: list[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        if not sources:
            return {}
        consumer, keys = self._means.app.consumer, [TP(*at) for at in sources]
        first = {tuple(at): offset for at, offset in (await consumer.earliest_offsets(*keys)).items()}
        end = {tuple(at): offset for at, offset in (await consumer.highwaters(*keys)).items()}
        return {at: (first[tuple(at)], end[tuple(at)]) for at in sources}

    async def _ready(
        self,
        owned: Owned,
        offsets: Mapping[TopicPartition, int],
        bounds: Mapping[TopicPartition, tuple[int, int]],
        claim: Claim,
    ) -> None:
        """Each task on its own: a cold one holds nobody up (T4)."""

        def choose(stored: Mapping[str, int]) -> dict[str, int]:
            committed = {at.topic: offsets.get(at, -1) for at in owned.sources}
            limits = {at.topic: bounds[at] for at in owned.sources}
            return starting_positions(owned.task.name, committed, stored, limits, self._means.reset)

        with fatal(self._means.fail):
            try:
                await owned.catch_up(self._means.client, choose)
                if claim is self.claim:
                    await self._seek_one(owned, claim)
            except IllegalStateError:
                log.info("assignment_overtaken_by_rebalance", task=owned.task.name)
            except Refused:
                if await holds(self._means.client, self._runtime.group, claim):
                    raise
                log.info("assignment_overtaken_by_rebalance", task=owned.task.name)

    async def _seek_one(self, owned: Owned, claim: Claim) -> None:
        consumer = self._means.app.consumer
        async with consumer.seeking:
            if claim is not self.claim:
                return
            await consumer.seek_tasks(
                {TP(at.topic, at.partition): owned.task.positions[at.topic] for at in owned.sources}
            )
            owned.arrived()
        if owned.task.note_expired():
            self._committer.noted()
        log.info("task_ready", task=owned.task.name, restored=owned.restored, positions=owned.task.positions)
        self.wanted.set()

    async def seek(self, those: Iterable[Owned]) -> None:
        consumer = self._means.app.consumer
        async with consumer.seeking:
            self.epoch += 1
            await consumer.seek_tasks(
                {TP(at.topic, at.partition): owned.task.positions[at.topic] for owned in those for at in owned.sources}
            )

    async def retake(self) -> None:
        """The same tasks again, from what is committed."""
        if self.claim is not None and self.settled:
            await self._take({key: owned.sources for key, owned in self.owned.items()}, self.claim)

    async def close(self) -> None:
        """Nothing is committed from here on: a commit would take the outs of tasks that are gone."""
        for owned in self.owned.values():
            owned.unready()
        await self._committer.settled()
        self._committer.forget()
        await self._let_go({})
