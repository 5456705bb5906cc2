"""When a commit begins and what it holds: rules X1 and X2, over transactions that are only written down."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from app.engine.broker.limits import BATCH_BYTES, Limits
from app.engine.driver import EPOCH_MS
from app.engine.state.rocks import Damaged
from app.engine.state.store import Write
from app.engine.state.stored import POSITIONS_KEY, decode_positions
from app.engine.tasks.lane import Encoded
from app.engine.tasks.outbox import Batches, Outbox
from app.engine.tasks.task import Rewind
from app.engine.transactions.committer import Committer, Pace
from app.engine.transactions.transaction import Claim
from app.telemetry import metrics
from app.telemetry.metrics import Few
from tests.support.notebook import Notebook
from tests.support.one_task import A, B, Bench, records
from tests.support.toy import Addition

CLAIM = Claim(3, "member", "instance")
USUAL = Pace()
SLOW = Pace(interval_s=60, busy_interval_s=60)


class Desk:
    def __init__(self, pace: Pace) -> None:
        self.notes = Notebook()
        outbox = Outbox()
        self.bench = Bench()
        self.bench.task.runtime = self.bench.task.runtime._replace(append=outbox.append)
        for lane in self.bench.task.lanes.values():
            lane.runtime = self.bench.task.runtime
        for timers in self.bench.task.timers.values():
            timers.runtime = self.bench.task.runtime
        self.committer = Committer(self.notes, outbox, "group", pace)  # type: ignore[arg-type]  # a notebook
        self.committer.tasks = lambda: [self.bench.task]
        self.committer.claim = CLAIM

    def add(self, *names: str) -> None:
        first = self.bench.task.positions[self.bench.topic]
        self.bench.process(records([Addition(name, 1, 1_000) for name in names], first=first))
        self.committer.noted()

    async def until(self, commits: int) -> None:
        await self.notes.until(lambda: len(self.notes.ended) >= commits)

    async def until_begun(self, commits: int) -> None:
        await self.notes.until(lambda: len(self.notes.begun) >= commits)


@asynccontextmanager
async def desk(pace: Pace = USUAL) -> AsyncIterator[Desk]:
    made = Desk(pace)
    running = asyncio.ensure_future(made.committer.run())
    try:
        yield made
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_x1_outputs_states_and_positions_go_together_and_the_store_comes_after() -> None:
    async with desk() as at:
        at.notes.may_end.clear()
        at.add(A, B)
        await at.until_begun(1)
        assert at.bench.store.meta.positions == {}
        (batches, positions, claim), *_ = at.notes.said
        assert claim is CLAIM
        assert positions == {TopicPartition(at.bench.topic, 0): 2}
        assert {place.topic for place in batches} == {"unit.sums", "iopt.unit-toy.changelog"}
        rows = logged(batches)
        assert {key for key, _ in rows} == {b"\1" + A.encode(), b"\1" + B.encode(), POSITIONS_KEY}
        said = decode_positions(dict(rows)[POSITIONS_KEY])
        assert (said.next, said.now_ms, said.group) == ({at.bench.topic: 2}, EPOCH_MS, "group")
        at.notes.may_end.set()
        await at.until(1)
        await at.committer.settled()
        assert at.bench.store.meta.positions == {at.bench.topic: 2}
        assert at.bench.store.meta.changelog_offset == 103


async def test_s4_the_position_of_a_topic_that_is_read_no_more_is_kept_and_not_committed_again() -> None:
    """The broker would refuse it once the topic is deleted."""
    async with desk() as at:
        at.bench.task.start({at.bench.topic: 0, "gifts": 7})
        at.add(A)
        await at.until(1)
        (batches, positions, _), *_ = at.notes.said
        assert positions == {TopicPartition(at.bench.topic, 0): 1}
        assert decode_positions(dict(logged(batches))[POSITIONS_KEY]).next == {at.bench.topic: 1, "gifts": 7}


def logged(batches: Batches) -> list[tuple[bytes, bytes]]:
    ((mine,),) = [found for place, found in batches.items() if place.topic.endswith("changelog")]
    records_ = MemoryRecords(mine.build(1, 0, 0))
    return [(record.key, record.value) for record in records_.next_batch()]


async def test_x1_timers_alone_commit_positions_too() -> None:
    async with desk() as at:
        at.add(A)
        await at.until(1)
        await at.committer.settled()
        at.bench.task.fire(EPOCH_MS + 1_000, EPOCH_MS + 1_000)
        at.committer.noted()
        await at.until(2)
        assert at.notes.said[1][1] == {TopicPartition(at.bench.topic, 0): 1}


async def test_x1_a_transaction_that_fails_changes_no_store() -> None:
    async with desk() as at:
        at.notes.failure = ConnectionError("gone")
        at.add(A)
        with pytest.raises(ConnectionError):
            await at.committer.run()
        assert at.bench.store.meta.positions == {}


async def test_r3_a_store_that_cannot_take_what_was_committed_is_told_by_its_task() -> None:
    async with desk() as at:

        def refuse(_write: Write) -> None:
            raise Damaged("Corruption: checksum")

        at.bench.store.write = refuse  # type: ignore[method-assign, assignment]  # after a background error
        at.add(A)
        with pytest.raises(Rewind) as raised:
            await at.committer.run()
        assert len(at.notes.ended) == 1
        assert raised.value.task is at.bench.task
        assert isinstance(raised.value.__cause__, Damaged)


async def test_x2_the_next_begins_when_the_one_before_has_ended_and_the_interval_is_over() -> None:
    async with desk(Pace(interval_s=0.05, busy_interval_s=0.2)) as at:
        at.add(A)
        await at.until(1)
        at.add(A)
        await at.until(2)
        assert at.notes.begun[1] - at.notes.begun[0] >= 0.05
        at.committer.busy = True
        at.notes.may_end.clear()
        at.add(A)
        await at.until_begun(3)
        assert at.notes.begun[2] - at.notes.begun[1] >= 0.2
        at.add(A)
        at.notes.may_end.set()
        await at.until(4)
        assert at.notes.begun[3] >= at.notes.ended[2]


async def test_x2_at_once_when_draining() -> None:
    async with desk(SLOW) as at:
        at.add(A)
        await at.until(1)
        at.add(A)
        async with asyncio.timeout(5):
            await at.committer.drain()
        assert at.bench.store.meta.positions == {at.bench.topic: 2}


@pytest.mark.parametrize("pace", [SLOW._replace(records=5), SLOW._replace(bytes=300)])
async def test_x2_at_once_when_it_is_full(pace: Pace) -> None:
    async with desk(pace) as at:
        at.add(A)
        await at.until(1)
        at.add(A)
        assert not at.committer.ripe
        for _ in range(5):
            await asyncio.sleep(0)  # until it lingers
        at.add(*[B] * 4)
        assert at.committer.ripe
        await at.until(2)
        assert not at.committer.ripe


@pytest.mark.parametrize("pace", [SLOW._replace(records=5), SLOW._replace(bytes=300)])
async def test_r4_what_waits_behind_a_transaction_on_its_way_is_bounded(pace: Pace) -> None:
    async with desk(pace) as at:
        at.notes.may_end.clear()
        at.add(A)
        await at.until_begun(1)
        for _ in range(100):
            if at.committer.full:
                break
            at.add(B)
        assert at.bench.task.records <= 5 * 4
        at.committer.freed.clear()
        at.notes.may_end.set()
        async with asyncio.timeout(5):
            await at.committer.freed.wait()
        assert not at.committer.full


async def test_r2_nothing_is_committed_of_a_stretch_that_was_broken_off() -> None:
    async with desk(Pace(interval_s=0)) as at:
        at.committer.held = True
        at.add(A)
        for _ in range(50):
            await asyncio.sleep(0)
        assert at.notes.begun == []
        at.committer.forget()
        at.bench.task.forget()
        at.committer.held = False
        at.add(B)
        await at.until(1)
        assert {key for key, _ in logged(at.notes.said[0][0])} == {b"\1" + B.encode(), POSITIONS_KEY}


async def test_r1_who_misplaces_is_counted_by_name_up_to_a_number_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "SENDERS", Few(most=2))
    senders = [b"/shop", b"/pay", b"/shop", b"/one", b"/two"]
    (given,) = records([Addition(A, 1)])
    async with desk() as at:
        before = Counter(metrics.RECORDS.samples())
        sent = [given._replace(offset=n, key=b"wrong", headers=[("ce_source", of)]) for n, of in enumerate(senders)]
        at.bench.process(sent)
        at.committer.noted()
        await at.until(1)
        await at.committer.settled()
        counted = Counter(metrics.RECORDS.samples()) - before
    found = {reason: count for (_, fate, reason), count in counted.items() if fate == "misplaced"}
    assert found == {"/shop": 2, "/pay": 1, "other": 2}


def test_r2_a_batch_is_no_longer_than_its_topic_takes() -> None:
    limits = Limits()
    outbox = Outbox(limits)
    limits.learn({"small": 5_000})
    for topic in ("small", "other"):
        for _ in range(100):
            outbox.append(Encoded(topic, 0, b"k", bytes(100), []), EPOCH_MS)
    batches = outbox.take()
    sizes = [len(batch.build(7, 2, 0)) for batch in batches[TopicPartition("small", 0)]]
    assert 4_800 < max(sizes) <= 5_000
    assert len(batches[TopicPartition("other", 0)]) == 1


def test_an_outbox_cuts_batches_by_size_and_keeps_the_order() -> None:
    outbox, at = Outbox(), TopicPartition("t", 1)
    sizes = [10, BATCH_BYTES, 20, BATCH_BYTES // 2, BATCH_BYTES // 2, 30]
    for size in sizes:
        outbox.append(Encoded(*at, b"k", bytes(size), [("h", b"v")]), EPOCH_MS)
    outbox.append(Encoded("t", 0, None, None, []), EPOCH_MS)
    batches = outbox.take()
    assert outbox.take() == {}
    found: list[Any] = []
    for batch in batches[at]:
        raw = batch.build(7, 2, len(found))
        inner = MemoryRecords(raw).next_batch()
        assert (inner.producer_id, inner.is_transactional, inner.base_sequence) == (7, True, len(found))
        found += [(len(record.value), record.timestamp, list(record.headers)) for record in inner]
    assert found == [(size, EPOCH_MS, [("h", b"v")]) for size in sizes]
