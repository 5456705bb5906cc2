"""What is committed, and what is not, when tasks go or go back: T3 and R3, over transactions that are only noted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.structs import TopicPartition
from faust.types import TP

from app.engine.broker.cluster import Cluster
from app.engine.driver import EPOCH_MS
from app.engine.group import owned as module
from app.engine.group.assignment import Assignment, Means
from app.engine.group.owned import Owned
from app.engine.group.recovery import Refused
from app.engine.group.rewinding import Rewinding
from app.engine.state.rocks import Damaged, Identity, RocksStore
from app.engine.tasks.lane import Runtime
from app.engine.tasks.outbox import Outbox
from app.engine.tasks.task import Rewind, Task
from app.engine.topology import build
from app.engine.transactions.committer import Committer, Pace
from app.engine.transactions.transaction import Claim
from tests.support.accounts import names_on
from tests.support.notebook import Notebook
from tests.support.one_task import TOY, records
from tests.support.toy import Addition

OLD, NEW = Claim(3, "member", "instance"), Claim(4, "member", "instance")
TOPIC = TOY.additions.name


class Overtaken(Notebook):
    """The next rebalance begins before the transactional id is claimed anew."""

    assignment: Assignment

    async def init(self) -> None:
        await super().init()
        self.assignment.revoked()


class Member:
    """Of a group that takes its task 1 away; task 0 stays."""

    def __init__(self, directory: Path) -> None:
        self.notes, self.outbox = Overtaken(), Outbox()
        self.committer = Committer(cast(Any, self.notes), self.outbox, "group", Pace(0, 0))
        counts = {TOPIC: 4, TOY.sums.name: 4, "iopt.unit-toy.changelog": 4}
        runtime = Runtime(counts, self.outbox.append, {}, print, lambda: EPOCH_MS)
        subs = build([TOY.processor], {})
        nothing = cast(Any, None)  # of the cluster: nothing is taken
        means = Means(
            app=nothing,
            subs=subs,
            client=nothing,
            transactions=cast(Any, self.notes),
            cluster=Cluster(),
            roll=nothing,
            place=nothing,
            reset="earliest",
            cache_bytes=1 << 20,
            timer_wait_s=1.0,
            fail=print,
        )
        self.assignment = self.notes.assignment = Assignment(means, runtime, self.committer)
        self.committer.tasks = lambda: [owned.task for owned in self.assignment.ready]
        self.committer.claim = self.assignment.claim = OLD
        for number in range(2):
            store = RocksStore(directory / str(number), Identity("c", "t"), oldest_ms=0, clock_ms=EPOCH_MS)
            task = Task(subs[TOY.processor.row], number, store, runtime, 1 << 20)
            owned = Owned(task, store, [TopicPartition(TOPIC, number)], 1.0)
            owned.task.start({TOPIC: 0})
            owned.arrived()
            self.assignment.owned[TOY.processor.row, number] = owned

    def add(self, number: int) -> None:
        task = self.assignment.owned[TOY.processor.row, number].task
        added = records([Addition(*names_on(number, 1), 1)], first=task.positions[TOPIC])
        task.process(TOPIC, added, 0, EPOCH_MS, float("inf"))
        self.committer.noted()


async def test_t3_what_was_not_on_its_way_when_tasks_went_is_never_committed(tmp_path: Path) -> None:
    """Outs belong to no task: one that stays would commit those of one that goes, and these would come twice."""
    at = Member(tmp_path)
    committing = asyncio.ensure_future(at.committer.run())
    try:
        at.notes.may_end.clear()
        at.add(0)
        await at.notes.until(lambda: len(at.notes.begun) == 1)
        at.add(0)
        at.add(1)
        at.assignment.revoked()
        at.assignment.claimed(NEW)
        taking = asyncio.ensure_future(at.assignment.assign([TP(TOPIC, 0)], NEW.generation))
        await asyncio.sleep(0)
        at.notes.may_end.set()
        await taking
        assert (len(at.notes.said), at.notes.inits, at.outbox.batches) == (1, 1, {})
    finally:
        committing.cancel()
        with suppress(asyncio.CancelledError):
            await committing


@pytest.mark.parametrize("newest", [None, NEW])
async def test_t3_a_stale_claim_is_dropped_before_the_transactional_id_is_claimed(
    tmp_path: Path, newest: Claim | None
) -> None:
    at = Member(tmp_path)
    at.assignment.claim = newest
    await at.assignment.assign([TP(TOPIC, 0)], OLD.generation)
    assert at.notes.inits == 0
    assert at.committer.claim is OLD
    assert all(owned.ready for owned in at.assignment.owned.values())


@pytest.mark.parametrize(("rows", "position", "kept"), [(0, 1, True), (3, 1, False), (0, 9, False)])
async def test_t3_the_cache_is_kept_only_where_the_log_held_nothing_new_and_the_positions_are_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, position: int, kept: bool
) -> None:
    async def restored(*_: Any) -> int:
        return rows

    at = Member(tmp_path)
    owned = at.assignment.owned[TOY.processor.row, 0]
    at.add(0)
    write = owned.task.snapshot().write
    owned.store.write(write)
    owned.task.wrote(write)
    monkeypatch.setattr(module, "restore", restored)
    await owned.catch_up(cast(Any, None), lambda _: {TOPIC: position})
    assert bool(owned.task.caches[TOY.accounts.id].hot) is kept


def damaged(_: Any) -> None:
    raise Damaged("Corruption: block checksum mismatch")


async def test_r3_a_store_that_misses_a_commit_while_tasks_go_back_stops_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its positions are older than what is committed: going back to them would send everything since once more."""
    at = Member(tmp_path)
    owned = at.assignment.owned[TOY.processor.row, 0]
    rewinding = Rewinding(at.assignment, at.committer, cast(Any, print))
    committing = asyncio.ensure_future(at.committer.run())
    async with at.assignment.changing:
        at.notes.may_end.clear()
        at.add(0)
        await at.notes.until(lambda: len(at.notes.begun) == 1)
        rewinding.rewind(Rewind(owned.task, "bug"))
        monkeypatch.setattr(owned.store, "write", damaged)
        at.notes.may_end.set()
        with pytest.raises(Rewind, match="store-damaged") as failure:
            await committing
        with pytest.raises(Rewind, match="store-damaged"):
            rewinding.rewind(failure.value)
        assert rewinding._going is not None
        rewinding._going.cancel()


class Group:
    """Of a cluster only what a heartbeat is answered with."""

    def __init__(self, code: int) -> None:
        self._answer = SimpleNamespace(error_code=code)

    async def coordinator_lookup(self, *_: Any) -> int:
        return 1

    async def send(self, _node: int, _request: Any) -> SimpleNamespace:
        return self._answer


@pytest.mark.parametrize(("code", "refused"), [(0, True), (22, False), (25, False), (27, False)])
async def test_t3_a_worker_that_was_frozen_does_not_take_others_progress_for_changed_positions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, refused: bool
) -> None:
    """It read the group's positions before, and the changelog after: it would stop for good (exit 1)."""
    at, failures = Member(tmp_path), list[BaseException]()
    owned = at.assignment.owned[TOY.processor.row, 0]
    owned.unready()

    async def contradicted(*_: Any) -> None:
        raise Refused("the group's position is 46, the changelog has 55")

    monkeypatch.setattr(owned, "catch_up", contradicted)
    at.assignment._means = at.assignment._means._replace(client=cast(Any, Group(code)), fail=failures.append)
    with suppress(Refused):
        await at.assignment._ready(owned, {}, {}, OLD)
    assert [type(error) for error in failures] == ([Refused] if refused else [])
    assert not owned.ready
