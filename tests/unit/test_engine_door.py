"""Rule S4: who settles positions by hand holds the group alone; a worker tells that from others, and waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.engine.group import door as module
from app.engine.group.door import ALONE, LONGEST_S, STABLE, Door, Standing

HELD, FREE, JOINING = Standing(STABLE, ALONE), Standing("Empty", ""), Standing("CompletingRebalance", "")
OTHERS = Standing(STABLE, "range")


class Group:
    """Stands as it is said to, look after look; each takes `takes_s`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.takes_s, self.looks = 0.0, 1.0, 0
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._standings: Iterator[Standing] = iter(())
        self.door = Door("g", self._look, self.closing)
        monkeypatch.setattr(module, "monotonic", lambda: self.now)
        monkeypatch.setattr(module, "LOOK_S", 0)

    async def opens(self, *standings: Standing) -> bool:
        self._standings = iter(standings)
        return await self.door.opens()

    async def _look(self) -> Standing:
        self.now += self.takes_s
        self.looks += 1
        return next(self._standings)


@pytest.fixture
async def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    return Group(monkeypatch)


async def test_s4_a_held_group_is_waited_for_and_named_once(group: Group) -> None:
    with capture_logs() as told:
        assert await group.opens(HELD, HELD, HELD, FREE)
        assert await group.opens(HELD, FREE)
    assert [(line["event"], line["group"]) for line in told] == [("group_held", "g")]
    group.door.entered()
    with capture_logs() as told:
        assert await group.opens(HELD, FREE)
    assert [line["event"] for line in told] == ["group_held"]


async def test_t2_a_group_of_others_is_not_waited_for(group: Group) -> None:
    with capture_logs() as told:
        assert not await group.opens(OTHERS)
    assert told == []


async def test_s4_while_a_group_forms_nobody_knows_whose_it_will_be(group: Group) -> None:
    assert await group.opens(JOINING)
    assert not await group.opens(OTHERS)


async def test_s4_however_often_it_is_taken_again_it_is_waited_for_a_minute(group: Group) -> None:
    tries = 0
    while await group.opens(HELD, FREE):
        tries += 1
        group.now += 1
    assert LONGEST_S < group.now <= LONGEST_S + 4
    assert tries > 1
    group.door.entered()
    assert await group.opens(HELD, FREE)


async def test_t6_a_worker_that_ends_does_not_wait_any_more(group: Group) -> None:
    group.closing.set_result(None)
    assert await group.opens(HELD)
    assert group.looks == 1
