"""Whatever tasks come, wait, give up and are cancelled: never too many inside, in turn, and no permit is lost."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from app.client.bulkhead import Bulkhead
from app.client.errors import BulkheadFull
from app.client.permits import Permits
from app.domain.bulkhead import BulkheadPolicy
from tests.support.virtual_clock import VirtualClock

ms = st.integers(0, 5)
tasks = st.lists(st.tuples(ms, ms, st.none() | ms), min_size=1, max_size=12)  # begins, stays, is cancelled (ms after)


class Visits:
    def __init__(self, limit, wait_ms, clock):
        policy = BulkheadPolicy(max_concurrent_calls=limit, max_wait_duration_ms=wait_ms)
        self.bulkhead = Bulkhead("b", policy, clock)
        self.inside = 0
        self.most = 0
        self.asked = []
        self.entered = []

    async def visit(self, number, begins_ms, stays_ms, cancelled_ms):
        await asyncio.sleep(begins_ms / 1_000)
        task = asyncio.create_task(self._enter(number, stays_ms))
        await asyncio.wait({task}, timeout=None if cancelled_ms is None else cancelled_ms / 1_000)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is not None:
            assert isinstance(task.exception(), BulkheadFull)

    async def _enter(self, number, stays_ms):
        self.asked.append(number)
        async with self.bulkhead:
            self.entered.append(number)
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                await asyncio.sleep(stays_ms / 1_000)
            finally:
                self.inside -= 1


@given(limit=st.integers(1, 3), wait_ms=st.integers(0, 6), tasks=tasks, resized=st.none() | st.integers(0, 4))
def test_never_too_many_and_none_is_lost(limit, wait_ms, tasks, resized):
    clock = VirtualClock()
    visits = Visits(limit, wait_ms, clock)

    async def scene():
        coming = [asyncio.create_task(visits.visit(n, *task)) for n, task in enumerate(tasks)]
        if resized is not None:
            await asyncio.sleep(0.003)
            visits.bulkhead.resize(resized)
        await asyncio.wait(coming)
        for task in coming:
            task.result()

    clock.run(scene())
    assert visits.most <= max(limit, resized or 0)
    assert (visits.bulkhead.available, visits.bulkhead.waiting) == (limit if resized is None else resized, 0)
    if limit == 1 and resized is None:
        assert visits.entered == [number for number in visits.asked if number in visits.entered]


@given(limit=st.integers(1, 3), acts=st.lists(st.sampled_from(["take", "give", "give of the parent's", "fork"])))
def test_after_a_fork_none_is_one_too_many_and_none_of_its_own_is_lost(limit, acts):
    permits, own, parents = Permits(limit, VirtualClock()), 0, 0
    for act in acts:
        if act == "take":
            own += permits.take()
        elif act == "give" and own:
            own -= 1
            permits.give()
        elif act == "give of the parent's" and parents:
            parents -= 1
            permits.give()
        elif act == "fork":
            own, parents = 0, parents + own
            permits.forked()
        assert limit - own <= permits.state.available <= limit
