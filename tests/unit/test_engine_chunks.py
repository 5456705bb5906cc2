"""Rule R4, F1: every chunk says where it begins, none is skipped, and no fetch straddles a seek."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from app.engine.driver import Sent
from app.engine.engine import Engine, Gap
from app.engine.group.group import Watch
from app.engine.group.transport import CHUNK_RECORDS, Chunk, Consumer, ConsumerThread

AT = TP("orders", 1)


def records(*offsets: int) -> list[Sent]:
    return [Sent(offset, 0, b"k", b"v") for offset in offsets]


def begin(position: int, chunk: Chunk) -> int:
    owned = SimpleNamespace(task=SimpleNamespace(positions={AT.topic: position}))
    return Engine._begin(cast(Any, None), cast(Any, owned), chunk)


def test_r4_a_chunk_that_starts_behind_the_position_is_an_error() -> None:
    with pytest.raises(Gap, match="orders/1: a chunk starts at 8, expected 7"):
        begin(7, Chunk(AT, records(8, 9), 8, 1))


def test_r4_records_may_leave_holes_and_what_is_known_is_passed_over() -> None:
    assert begin(7, Chunk(AT, records(9, 12), 7, 1)) == 0
    assert begin(10, Chunk(AT, records(9, 12), 7, 1)) == 1
    assert begin(13, Chunk(AT, records(9, 12), 7, 1)) == 2


class Worked:
    """What an engine's `_work` uses of itself; each stretch is one record."""

    def __init__(self, set_back_to: int) -> None:
        self.epoch, self.clock = 1, SimpleNamespace(now_ms=lambda: 0)
        self.committer = SimpleNamespace(noted=lambda: None)
        self.task = SimpleNamespace(positions={AT.topic: 7}, waiting=None)
        self.owned = SimpleNamespace(task=self.task, ready=True, processed=lambda *_: None, behind=lambda _topic: False)
        self.done, self._set_back_to = 0, set_back_to

    async def _until_room(self, _chunk: Chunk) -> None:
        if self.task.positions[AT.topic] == 9:
            self.task.positions[AT.topic] = self._set_back_to

    def _stretch(self, _owned: Any, chunk: Chunk, at: int) -> int:
        self.task.positions[AT.topic] = chunk.records[at].offset + 1
        return at + 1

    def _begin(self, owned: Any, chunk: Chunk) -> int:
        return Engine._begin(cast(Any, self), owned, chunk)

    def _check_still(self, owned: Any, chunk: Chunk, reached: int) -> None:
        Engine._check_still(cast(Any, self), owned, chunk, reached)

    def _done(self, _owned: Any, chunk: Chunk) -> None:
        self.done += len(chunk.records)


async def test_r4_a_task_that_is_set_back_within_a_chunk_never_goes_on_behind_it() -> None:
    chunk = Chunk(AT, records(7, 8, 9), 7, 1)
    steady, shaken = Worked(9), Worked(7)
    assert await Engine._work(cast(Any, steady), cast(Any, steady.owned), chunk)
    assert steady.done == 3
    with pytest.raises(Gap, match="orders/1: set back to 7 in a chunk that stood at 9"):
        await Engine._work(cast(Any, shaken), cast(Any, shaken.owned), chunk)


class Polled:
    """What a consumer's `_fetch` uses of itself."""

    def __init__(self) -> None:
        self.seeking, self.flow_active, self.polls = asyncio.Lock(), True, 0
        self.chain = {AT: 5}
        self.engine = SimpleNamespace(
            epoch=3, timers_due=False, wanted=lambda active: (set(active), True), turn=lambda _chunk: 1
        )
        self.patience: list[float] = []

    def _get_active_partitions(self) -> set[TP]:
        return {AT}

    async def _getmany(self, **asked: Any) -> Any:
        self.polls += 1
        self.patience.append(asked["timeout"])
        return {AT: records(*range(6, 6 + 2 * CHUNK_RECORDS, 2))}

    def _chunks(self, at: TP, fetched: list[Any], epoch: int) -> list[Chunk]:
        return Consumer._chunks(cast(Any, self), at, fetched, epoch)


def fetch(consumer: Polled) -> Any:
    return Consumer._fetch(cast(Any, consumer))


async def test_r4_chunks_are_chained_through_all_that_was_fetched() -> None:
    consumer = Polled()
    first = await fetch(consumer)
    second = await fetch(consumer)
    assert [(chunk.start, chunk.epoch, len(chunk.records)) for chunk in first] == [(5, 3, CHUNK_RECORDS)]
    assert second[0].start == first[-1].records[-1].offset + 1


async def test_f1_no_fetch_begins_while_there_is_a_seek_and_none_after_the_flow_has_stopped() -> None:
    consumer = Polled()
    async with consumer.seeking:
        waiting = asyncio.ensure_future(fetch(consumer))
        for _ in range(5):
            await asyncio.sleep(0)
        assert consumer.polls == 0
        consumer.flow_active = False
    assert await waiting == []
    assert consumer.polls == 0


async def test_f1_nothing_is_fetched_from_where_it_was_when_a_rewind_began_before_the_seek_was_over() -> None:
    consumer = Polled()
    async with consumer.seeking:
        waiting = asyncio.ensure_future(fetch(consumer))
        for _ in range(5):
            await asyncio.sleep(0)
        consumer.engine.epoch, consumer.engine.wanted = 4, lambda _: (set(), False)
    assert await waiting is None
    assert consumer.polls == 0


async def test_c3_while_a_timer_is_due_nobody_waits_longer_than_50_ms() -> None:
    consumer = Polled()
    await fetch(consumer)
    consumer.engine.timers_due = True
    await fetch(consumer)
    assert consumer.patience == [0.2, 0.05]


async def test_s4_a_lost_position_stops_the_worker_once_its_task_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before that, what a restart would refuse by name is found by whoever is quicker."""

    async def nothing(*_: Any, **__: Any) -> Any:
        return {}

    said: list[BaseException] = []
    monkeypatch.setattr(Watch, "failed", staticmethod(said.append))
    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_fetch_records", nothing)
    other = TP("orders", 2)
    states = {AT: SimpleNamespace(lost=5, _position=5), other: SimpleNamespace(_position=0)}
    assignment = SimpleNamespace(tps=set(states), state_value=states.get)
    consumer = SimpleNamespace(_subscription=SimpleNamespace(subscription=SimpleNamespace(assignment=assignment)))
    thread = object.__new__(ConsumerThread)
    await thread._fetch_records(consumer, {other})
    assert said == []
    await thread._fetch_records(consumer, {AT, other})
    assert str(said[0]).endswith(f"{{{AT!r}: 5}}")
