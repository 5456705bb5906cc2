"""One transaction after the other: outputs, changed states and positions of all tasks of the worker at once.

RocksDB is written when the transaction has ended, never before it (X1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from time import monotonic, perf_counter
from typing import NamedTuple

from aiokafka.structs import TopicPartition

from app.engine.faults import fault_point
from app.engine.state.stored import POSITIONS_KEY, Positions, Unreadable, encode_positions
from app.engine.tasks.fate import Fate
from app.engine.tasks.outbox import Batches, Outbox
from app.engine.tasks.task import Rewind, Snapshot, Task
from app.engine.transactions.transaction import Claim, Transactions
from app.telemetry import metrics
from app.wire.topics import changelog

ROOM = 4  # transactions' worth of records that may wait while one is on its way


class Pace(NamedTuple):
    """When a commit begins (X2)."""

    interval_s: float = 0.010
    busy_interval_s: float = 0.050
    records: int = 3_000
    bytes: int = 4 << 20


class Committer:
    def __init__(self, transactions: Transactions, outbox: Outbox, group: str, pace: Pace) -> None:
        self._transactions, self._outbox, self._group, self._pace = transactions, outbox, group, pace
        self.tasks: Callable[[], Iterable[Task]] = tuple
        self.claim: Claim | None = None
        self.busy = False  # a full chunk waits to be processed
        self.committed_at = monotonic()
        self.freed = asyncio.Event()  # there is room again
        self._wake, self._hurry = asyncio.Event(), asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._began = 0.0
        self._sending = asyncio.Lock()
        self.sent: list[Snapshot] = []  # in the newest transaction
        self.held = False  # what there is will be dropped: a stretch was broken off, with a part of its outs and states
        self.one_by_one = False  # a transaction for each record, to find the one that the broker will not take

    @property
    def ripe(self) -> bool:
        """Enough for a transaction."""
        return self._holds(1)

    @property
    def full(self) -> bool:
        """So much more than a transaction takes that nothing further is processed until one has ended."""
        return self._holds(1 if self.one_by_one else ROOM)

    def _holds(self, transactions: int) -> bool:
        records = 1 if self.one_by_one else transactions * self._pace.records
        return self._records() >= records or self._bytes() >= transactions * self._pace.bytes

    def _records(self) -> int:
        return sum(task.records for task in self.tasks())

    def _bytes(self) -> int:
        return self._outbox.bytes + sum(task.dirty_bytes for task in self.tasks())

    def noted(self) -> None:
        """Something was processed."""
        self._idle.clear()
        self._wake.set()
        if self.ripe:
            self._hurry.set()

    async def run(self) -> None:
        """Until cancelled. Raises what a transaction raises, and Rewind."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._records() and not self.held:
                await self._linger()
                async with self._sending:
                    if not self.held:
                        await self._commit()
            if not self.held:
                self._idle.set()

    async def _linger(self) -> None:
        interval = self._pace.busy_interval_s if self.busy else self._pace.interval_s
        left = self._began + interval - perf_counter()
        if left > 0 and not self._draining and not self.ripe:
            self._hurry.clear()
            try:
                async with asyncio.timeout(left):
                    await self._hurry.wait()
            except TimeoutError:
                pass

    async def _commit(self) -> None:
        self._began = perf_counter()
        if self.claim is None:
            return
        snapshots = self.sent = [task.snapshot() for task in self.tasks() if task.pending]
        if not snapshots:
            return
        batches = self._batches(snapshots)
        positions = {
            TopicPartition(topic, snapshot.task.partition): at
            for snapshot in snapshots
            for topic, at in snapshot.write.meta.positions.items()
            if topic in snapshot.task.lanes  # one that is read no more may be deleted; the changelog keeps its position
        }
        self.freed.set()
        fault_point("before_transaction")
        bases = await self._transactions.commit(batches, positions, self.claim)
        fault_point("after_commit")
        for snapshot in snapshots:
            self._write(snapshot, batches, bases)
        fault_point("after_write")
        self.committed_at = monotonic()
        self._count(snapshots, batches)

    def _batches(self, snapshots: list[Snapshot]) -> Batches:
        for snapshot in snapshots:
            at, meta = _changelog(snapshot.task), snapshot.write.meta
            standing = Positions(dict(meta.positions), meta.now_ms, self._group, snapshot.task.changelog_partitions)
            self._outbox.extend(at, meta.now_ms, snapshot.write.changes)
            self._outbox.extend(at, meta.now_ms, [(POSITIONS_KEY, encode_positions(standing))])
        return self._outbox.take()

    def _write(self, snapshot: Snapshot, batches: Batches, bases: dict[TopicPartition, int]) -> None:
        at, write = _changelog(snapshot.task), snapshot.write
        meta = write.meta
        if at in bases:
            meta = replace(meta, changelog_offset=bases[at] + batches[at][-1].count)
        try:
            snapshot.task.store.write(write._replace(meta=meta))
        except Unreadable as error:
            raise Rewind(snapshot.task, "store-damaged") from error
        snapshot.task.wrote(write)

    def _count(self, snapshots: list[Snapshot], batches: Batches) -> None:
        metrics.COMMITS.add(())
        metrics.COMMIT_SECONDS.observe((), perf_counter() - self._began)
        metrics.TRANSACTION_RECORDS.observe((), sum(snapshot.records for snapshot in snapshots))
        metrics.TRANSACTION_BYTES.observe((), sum(batch.bytes for mine in batches.values() for batch in mine))
        for at, mine in batches.items():
            metrics.OUTS.add((at.topic,), sum(batch.count for batch in mine))
        for snapshot in snapshots:
            count_fates(snapshot)

    async def drain(self) -> None:
        """Until nothing is left to commit."""
        self._draining = True
        self._hurry.set()
        try:
            await self._idle.wait()
        finally:
            self._draining = False

    async def abort(self) -> None:
        """The transaction that the broker would not take; a rebalance that begins now waits for it."""
        async with self._sending:
            await self._transactions.abort()

    async def settled(self) -> None:
        """Until no transaction is on its way."""
        async with self._sending:
            pass

    def forget(self) -> None:
        """What was not committed is dropped."""
        self._outbox.take()
        self._idle.set()
        self.freed.set()


def _changelog(task: Task) -> TopicPartition:
    return TopicPartition(changelog(task.sub.row).name, task.partition)


def count_fates(snapshot: Snapshot) -> None:
    """Into the metrics, once they are committed."""
    for (topic, fate, reason), count in snapshot.fates.items():
        if fate == Fate.FIRED:
            metrics.TIMERS_FIRED.add((topic,), count)
            continue
        said = metrics.SENDERS.of(reason) if fate == Fate.MISPLACED else reason
        metrics.RECORDS.add((topic, fate, said), count)
        if fate == Fate.DEAD_LETTERED:
            metrics.DEAD_LETTERS.add((topic, reason), count)
