"""All tasks of a worker: who has them, when they run, and what happens when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IllegalStateError
from aiokafka.structs import TopicPartition
from faust.types import TP

from app.engine.clock import Clock
from app.engine.committer import Committer, Pace
from app.engine.fatal import fatal
from app.engine.lane import Runtime
from app.engine.outbox import Outbox
from app.engine.owned import Owned, tasks_of
from app.engine.protocol import UnpinnedRecord
from app.engine.recovery import stable_offsets, starting_positions
from app.engine.rocks import Identity
from app.engine.stored import NewerFormat, Unreadable
from app.engine.task import Rewind
from app.engine.topology import SubTopology
from app.engine.transaction import Claim, Transactions
from app.telemetry import metrics
from app.telemetry.logs import log
from app.wire.topics import changelog

CHUNK_S = 0.004
TICK_S = 0.02
DRAIN_S = 4.0


class Place(NamedTuple):
    """Where this worker runs: one slot of a data directory, one cluster."""

    directory: Path
    slot: str
    cluster: str
    topic_ids: Mapping[str, str]  # of the changelogs


class Engine:
    def __init__(
        self,
        app: Any,
        subs: Mapping[str, SubTopology],
        client: AIOKafkaClient,
        transactions: Transactions,
        runtime: Callable[[Outbox, Clock], Runtime],
        place: Place,
        *,
        pace: Pace,
        reset: str,
        cache_bytes: int,
        timer_wait_s: float,
        fail: Callable[[BaseException], None],
    ) -> None:
        self.app, self.subs, self.client, self.place = app, subs, client, place
        self.clock, self.outbox = Clock(), Outbox()
        self.runtime = runtime(self.outbox, self.clock)
        self.transactions, self.fail = transactions, fail
        self.committer = Committer(transactions, self.outbox, self.runtime.group, pace)
        self.committer.tasks = self._ready_tasks
        self.owned: dict[tuple[str, int], Owned] = {}
        self._by_source: dict[TopicPartition, Owned] = {}
        self.epoch = 0  # of seeks: chunks fetched before the newest one are dropped
        self.timers_due = False
        self.joined_at: float | None = None
        self._reset, self._cache_bytes, self._timer_wait_s = reset, cache_bytes, timer_wait_s
        self._wanted = asyncio.Event()
        self._lock = asyncio.Lock()
        self._rewinding: asyncio.Task[None] | None = None
        self.started_at = self.ticked_at = monotonic()

    def _ready_tasks(self) -> list[Any]:
        return [owned.task for owned in self.owned.values() if owned.ready]

    def claimed(self, claim: Claim) -> None:
        """From the consumer thread: assigning the reference is all that it does."""
        self._claim = claim

    _claim: Claim | None = None

    # What the consumer asks

    def wanted(self, active: Iterable[TopicPartition]) -> tuple[set[TP], bool]:
        """Partitions whose tasks take records now, and whether those are all."""
        assigned = [TP(at.topic, at.partition) for at in active]
        if self.committer.full or self._rewinding is not None:
            return set(), False
        found = {at for at in assigned if (owned := self._by_source.get(TopicPartition(*at))) and owned.wants(at.topic)}
        return found, len(found) == len(assigned)

    async def until_wanted(self) -> None:
        self._wanted.clear()
        try:
            async with asyncio.timeout(0.05):
                await self._wanted.wait()
        except TimeoutError:
            pass

    def delivered(self, chunk: Any) -> None:
        owned = self._by_source[TopicPartition(*chunk.at)]
        owned.chunks[chunk.at.topic] = owned.chunks.get(chunk.at.topic, 0) + 1

    # What an agent does with a chunk

    async def process(self, chunk: Any) -> None:
        """In stretches of a few ms; what is left when the flow stops is read again."""
        owned = self._by_source.get(TopicPartition(*chunk.at))
        if owned is None or chunk.epoch != self.epoch:
            return
        at = self._begin(owned, chunk)
        while at < len(chunk.records):
            if self.committer.full or owned.task.waiting is not None:
                await self._hold(owned, chunk)
            if chunk.epoch != self.epoch or not owned.ready:
                return
            begin = at
            try:
                at = owned.task.process(
                    chunk.at.topic, self._share(owned, chunk, at), at, self.clock.now_ms(), perf_counter() + CHUNK_S
                )
            except Rewind as rewind:
                self._start_rewind(rewind)
                return
            except Unreadable as error:
                self._start_rebuild(owned, error)
                return
            if at > begin:
                owned.processed(chunk.at.topic, chunk.records[at - 1].timestamp)
                self.committer.noted()
            await asyncio.sleep(0)
        self._done(owned, chunk)

    def _done(self, owned: Owned, chunk: Any) -> None:
        if chunk.epoch == self.epoch:
            owned.chunks[chunk.at.topic] -= 1
            self.committer.busy = not owned.quiet
            self._wanted.set()

    def _begin(self, owned: Owned, chunk: Any) -> int:
        """Raises Gap: what is not there must never be skipped."""
        position = owned.task.positions[chunk.at.topic]
        if chunk.start > position:
            raise Gap(f"{chunk.at.topic}/{chunk.at.partition}: a chunk starts at {chunk.start}, expected {position}")
        return next((n for n, record in enumerate(chunk.records) if record.offset >= position), len(chunk.records))

    def _share(self, owned: Owned, chunk: Any, at: int) -> Any:
        """All of the chunk, or one record when each shall have its own transaction."""
        if self.committer.one_by_one and not any(other.task.careful for other in self.owned.values()):
            self.committer.one_by_one = False
        return chunk.records[: at + 1] if self.committer.one_by_one and owned.task.careful else chunk.records

    async def _hold(self, owned: Owned, chunk: Any) -> None:
        while chunk.epoch == self.epoch and self.committer.full:
            self.committer.freed.clear()
            await self.committer.freed.wait()
        if owned.task.waiting is not None:
            await asyncio.sleep(0.05)

    # Rewinding

    def _start_rewind(self, rewind: Rewind) -> None:
        if self._rewinding is None:
            self.epoch += 1
            self._rewinding = asyncio.ensure_future(self._over(self._rewind(rewind)))

    def _start_rebuild(self, owned: Owned, error: Unreadable) -> None:
        """Once, from the changelog; raises the error when that has not helped, or cannot (R3)."""
        if owned.rebuilt or isinstance(error, NewerFormat):
            raise error
        log.error("store_rebuilt", task=owned.task.name, error=str(error))
        owned.rebuilt = True
        if self._rewinding is None:
            self.epoch += 1
            self._rewinding = asyncio.ensure_future(self._over(self._rebuild(owned)))

    async def _over(self, going_back: Coroutine[Any, Any, None]) -> None:
        try:
            with fatal(self.fail):
                await going_back
        finally:
            self._rewinding = None
            self._wanted.set()

    async def _rebuild(self, owned: Owned) -> None:
        async with self._lock:
            await self.committer.settled()
            self.committer.forget()
            owned.store.wipe()
            if self._claim is not None and self.committer.claim is self._claim:
                await self._take({key: owned.sub for key, owned in self.owned.items()}, self._claim)

    async def _rewind(self, rewind: Rewind) -> None:
        """Nothing of it was sent: a transaction is sent when it is whole. Every task reads again from its positions."""
        log.warning("rewind", task=rewind.task.name, reason=rewind.reason, error=repr(rewind.__cause__))
        metrics.REWINDS.add((rewind.reason,))
        try:
            async with self._lock:
                await self.committer.settled()
                self.committer.forget()
                for owned in self.owned.values():
                    if owned.ready:
                        owned.undeliver()
                        self._back(owned, rewind)
                await self._seek(owned for owned in self.owned.values() if owned.ready)
        except IllegalStateError:
            log.info("rewind_overtaken_by_rebalance")

    def _back(self, owned: Owned, rewind: Rewind) -> None:
        if owned.task is rewind.task or self.committer.one_by_one:
            owned.task.rewind()
        else:
            owned.task.forget()

    async def _seek(self, those: Iterable[Owned]) -> None:
        consumer = self.app.consumer
        async with consumer.seeking:
            self.epoch += 1
            await consumer.seek_tasks(
                {TP(at.topic, at.partition): owned.task.positions[at.topic] for owned in those for at in owned.sources}
            )

    # Assignment

    def revoked(self) -> None:
        """Chunks in hand are given up between two stretches, and no timer fires: the claim is about to end."""
        self.epoch += 1
        self._claim = None

    async def drain(self) -> None:
        """Before partitions go: commit what is processed, four seconds at most."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await self.committer.drain()
        except TimeoutError:
            log.warning("drain_gave_up", seconds=DRAIN_S)

    async def assign(self, assigned: Iterable[TP], generation: int) -> None:
        claim = self._claim
        if claim is None or claim.generation != generation:
            return
        async with self._lock:
            metrics.REBALANCES.add(())
            for owned in self.owned.values():
                owned.unready()
            await self.committer.settled()
            await self._let_go(tasks_of(self.subs.values(), assigned))
            self.committer.forget()
            self.committer.claim = claim
            await self.transactions.init()
            if claim is not self._claim:
                return
            await self._take(tasks_of(self.subs.values(), assigned), claim)
            self.joined_at = monotonic()

    async def _let_go(self, kept: Mapping[tuple[str, int], SubTopology]) -> None:
        for key in [key for key in self.owned if key not in kept]:
            owned = self.owned.pop(key)
            for at in owned.sources:
                self._by_source.pop(at, None)
            await owned.close()

    async def _take(self, wanted: Mapping[tuple[str, int], SubTopology], claim: Claim) -> None:
        self.epoch += 1
        for (row, number), sub in wanted.items():
            owned = self.owned.get((row, number))
            if owned is None:
                owned = self.owned[row, number] = self._open(row, number, sub)
                self._by_source |= dict.fromkeys(owned.sources, owned)
            owned.unready()
            if owned.task.pending:
                owned.task.forget()
        sources = [at for owned in self.owned.values() for at in owned.sources]
        offsets = await stable_offsets(self.client, self.runtime.group, sources) if sources else {}
        bounds = await self._bounds(sources)
        for owned in self.owned.values():
            if owned.opening is not None:
                owned.opening.cancel()
            owned.opening = asyncio.ensure_future(self._ready(owned, offsets, bounds, claim))

    def _open(self, row: str, number: int, sub: SubTopology) -> Owned:
        identity = Identity(self.place.cluster, self.place.topic_ids[changelog(row).name])
        path = self.place.directory / "stores" / f"{row}-{number}"
        return Owned(
            sub,
            number,
            self.runtime,
            path,
            identity,
            cache_bytes=self._cache_bytes,
            timer_wait_s=self._timer_wait_s,
        )

    async def _bounds(self, sources: list[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        if not sources:
            return {}
        consumer, keys = self.app.consumer, [TP(*at) for at in sources]
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
            return starting_positions(owned.task.name, committed, stored, limits, self._reset)

        with fatal(self.fail):
            try:
                await owned.catch_up(self.client, choose)
                if claim is self._claim:
                    await self._seek_one(owned)
            except IllegalStateError:
                log.info("assignment_overtaken_by_rebalance", task=owned.task.name)

    async def _seek_one(self, owned: Owned) -> None:
        consumer = self.app.consumer
        async with consumer.seeking:
            await consumer.seek_tasks(
                {TP(at.topic, at.partition): owned.task.positions[at.topic] for at in owned.sources}
            )
            owned.arrived()
        log.info("task_ready", task=owned.task.name, restored=owned.restored, positions=owned.task.positions)
        self._wanted.set()

    def sight(self, at: TopicPartition) -> tuple[int, Any] | None:
        """Position and newest answer of a partition, as the consumer's thread last handed records over."""
        found: tuple[int, Any] | None = self.app.consumer._thread.snapshot.get(at)
        return found

    # The worker's own beat

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
                self._start_rewind(rewind)
            except UnpinnedRecord as refused:
                await self._find_culprit(refused)
            while self._rewinding is not None:
                await asyncio.sleep(TICK_S)

    async def _find_culprit(self, refused: UnpinnedRecord) -> None:
        """The broker takes no batch that holds a certain record: one transaction a record until it is found (R2)."""
        await self.transactions.abort()
        metrics.ABORTS.add(())
        sent = self.committer.sent
        if self.committer.one_by_one and len(sent) == 1 and sent[0].records == 1:
            sent[0].task.condemn(sent[0], str(refused))
        self.committer.one_by_one = True
        rewind = Rewind(sent[0].task, "refused-by-broker")
        rewind.__cause__ = refused
        self._start_rewind(rewind)

    def _tick(self) -> None:
        now_ms, self.ticked_at = self.clock.now_ms(), monotonic()
        if jump := self.clock.jumped_ms():
            log.warning("wall_clock_jumped", by_ms=jump)
        due, flowing = False, self._rewinding is None and self.committer.claim is self._claim
        for owned in self.owned.values():
            owned.store.flush_if_due()
            if owned.ready and flowing and owned.timers.look(now_ms):
                due = True
                self._fire(owned, now_ms)
        self.timers_due = due

    def _fire(self, owned: Owned, now_ms: int) -> None:
        if self.committer.full:
            return
        try:
            fired = owned.timers.fire(now_ms, self.sight, owned.read())
        except Rewind as rewind:
            self._start_rewind(rewind)
            return
        except Unreadable as error:
            self._start_rebuild(owned, error)
            return
        if fired:
            self.committer.noted()

    async def close(self) -> None:
        await self._let_go({})


class Gap(Exception):
    """Records of a partition are missing between two chunks."""
