import asyncio
import threading

import pytest

from app.client.hedge import Hedge, HedgePolicy
from app.client.stopping import cancelled
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


def of(clock, most=2, **extras):
    return Hedge("h", HedgePolicy(delay_ms=100, max_attempts=most), clock, **extras)


class Backend:
    """Each attempt takes the next of the times (s) and ends as told; what was cancelled is noted."""

    def __init__(self, *attempts):
        self.attempts = list(attempts)
        self.begun = 0
        self.cancelled = []

    async def fetch(self):
        number, self.begun = self.begun, self.begun + 1
        s, ending = self.attempts[number]
        try:
            await asyncio.sleep(s)
        except asyncio.CancelledError:
            self.cancelled.append(number + 1)
            raise
        if isinstance(ending, Exception):
            raise ending
        return ending


def fetched(hedge, backend):
    async def scene():
        try:
            return await hedge.acall(backend.fetch), hedge.clock.ns // 1_000_000
        finally:
            await asyncio.sleep(0)

    return hedge.clock.run(scene())


def types(hedge):
    return [event.type for event in hedge.recent_events()]


def test_a_quick_answer_is_asked_for_once(clock):
    hedge, backend = of(clock), Backend((0.05, "one"))
    assert fetched(hedge, backend) == ("one", 50)
    assert types(hedge) == ["PRIMARY_SUCCESS"]


def test_a_second_attempt_after_the_delay_may_win_and_the_first_is_cancelled(clock):
    hedge, backend = of(clock), Backend((5, "one"), (0.05, "two"))
    assert fetched(hedge, backend) == ("two", 150)
    assert (backend.cancelled, types(hedge)) == ([1], ["SECONDARY_SUCCESS"])


def test_the_first_may_still_win(clock):
    hedge, backend = of(clock), Backend((0.12, "one"), (5, "two"))
    assert fetched(hedge, backend) == ("one", 120)
    assert backend.cancelled == [2]


def test_a_failure_is_followed_by_the_next_at_once(clock):
    hedge, backend = of(clock), Backend((0.01, OSError()), (0.01, "two"))
    assert fetched(hedge, backend) == ("two", 20)
    assert types(hedge) == ["PRIMARY_FAILURE", "SECONDARY_SUCCESS"]


def test_a_result_that_is_not_good_waits_for_a_better_one(clock):
    hedge, backend = of(clock, good=lambda result: result > 0), Backend((0.15, 0), (0.1, 7))
    assert fetched(hedge, backend) == (7, 200)


def test_where_none_is_good_the_last_is_the_answer(clock):
    with pytest.raises(OSError, match="second"):
        fetched(of(clock), Backend((0.01, OSError("first")), (0.01, OSError("second"))))


def test_there_may_be_more_than_two(clock):
    hedge, backend = of(clock, most=3), Backend((5, 1), (5, 2), (0.01, 3))
    assert fetched(hedge, backend) == (3, 210)
    assert backend.cancelled == [1, 2]


def test_a_caller_that_is_cancelled_takes_all_attempts_along(clock):
    hedge, backend = of(clock), Backend((5, 1), (5, 2))

    async def scene():
        task = asyncio.create_task(hedge.acall(backend.fetch))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0)

    clock.run(scene())
    assert backend.cancelled == [1, 2]


def test_in_threads_the_second_may_win_and_the_first_is_told(clock):
    begun, release, ended, told = threading.Event(), threading.Event(), threading.Event(), []
    clock.later(50, lambda: begun.wait(60))

    def fetch():
        if begun.is_set():
            return "two"
        begun.set()
        release.wait()
        told.append(cancelled())
        ended.set()
        return "one"

    hedge = of(clock)
    assert hedge.call(fetch) == "two"
    assert types(hedge) == ["SECONDARY_SUCCESS"]
    release.set()
    assert ended.wait(60)
    assert told == [True]


def test_in_threads_a_failure_is_followed_by_the_next():
    endings = iter([OSError("first"), OSError("second")])

    def fetch():
        raise next(endings)

    hedge = Hedge("h", HedgePolicy(delay_ms=60_000))
    with pytest.raises(OSError, match="second"):
        hedge.call(fetch)
    assert types(hedge) == ["PRIMARY_FAILURE", "SECONDARY_FAILURE"]
