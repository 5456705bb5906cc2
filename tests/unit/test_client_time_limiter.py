import asyncio
import gc
import threading

import pytest

from app.client.deadlines import Deadline, Deadlines
from app.client.errors import TimeLimitExceeded
from app.client.own_loop import OwnLoop
from app.client.stopping import cancelled
from app.client.time_limiter import TimeLimiter
from app.domain.time_limiter import TimeLimiterPolicy
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


def of(limit_ms, clock, cancels=True):
    policy = TimeLimiterPolicy(timeout_duration_ms=limit_ms, cancel_running_future=cancels)
    return TimeLimiter("t", policy, clock)


def types(limiter):
    return [event.type for event in limiter.recent_events()]


async def slow(log, s=5):
    try:
        await asyncio.sleep(s)
        log.append("done")
    except asyncio.CancelledError:
        log.append("cancelled")
        raise


def test_a_coroutine_that_takes_too_long_is_cancelled(clock):
    limiter, log = of(1_000, clock), []
    with pytest.raises(TimeLimitExceeded, match="'t'"):
        clock.run(limiter.acall(slow, log))
    assert (log, clock.ns, types(limiter)) == (["cancelled"], 1_000_000_000, ["TIMEOUT"])


def test_one_in_time_is_left_alone(clock):
    limiter, log = of(10_000, clock), []
    clock.run(limiter.acall(slow, log))
    assert (log, types(limiter)) == (["done"], ["SUCCESS"])


def test_without_cancelling_it_goes_on_by_itself(clock):
    limiter, log = of(1_000, clock, cancels=False), []

    async def scene():
        with pytest.raises(TimeLimitExceeded):
            await limiter.acall(slow, log)
        assert log == []
        await asyncio.sleep(10)

    clock.run(scene())
    assert log == ["done"]


@pytest.mark.parametrize("cancels", [True, False])
def test_its_own_errors_pass_and_are_no_timeout(clock, cancels):
    limiter = of(1_000, clock, cancels)

    async def failing():
        raise TimeoutError("of the socket")

    with pytest.raises(TimeoutError, match="of the socket") as raised:
        clock.run(limiter.acall(failing))
    assert type(raised.value) is TimeoutError
    assert types(limiter) == ["ERROR"]


@pytest.mark.parametrize("cancels", [True, False])
def test_a_caller_that_is_cancelled_is_cancelled_and_nothing_else(clock, cancels):
    limiter, log = of(9_000, clock, cancels), []

    async def scene():
        task = asyncio.create_task(limiter.acall(slow, log))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert clock.run(scene())
    assert (log, types(limiter)) == (["cancelled"], [])


def test_the_task_may_go_on_waiting_after_a_timeout(clock):
    limiter, log = of(1_000, clock), []

    async def scene():
        for _ in range(3):
            with pytest.raises(TimeLimitExceeded):
                await limiter.acall(slow, log)
        await asyncio.sleep(1)
        return asyncio.current_task().cancelling()

    assert clock.run(scene()) == 0


def test_one_limiter_serves_one_event_loop_after_another(clock):
    limiter, log = of(1_000, clock), []
    for _ in range(2):
        with pytest.raises(TimeLimitExceeded):
            clock.run(limiter.acall(slow, log))
    assert log == ["cancelled", "cancelled"]


def kept(kind):
    gc.collect()
    return sum(type(each) is kind for each in gc.get_objects())


def test_event_loops_that_take_turns_keep_one_timer_each(clock):
    limiter, loops = of(1_000_000, clock), [OwnLoop(name, asyncio.Event().wait) for name in "ab"]
    before = kept(Deadlines)
    try:
        for _ in range(50):
            for loop in loops:
                loop.wait(limiter.acall(slow, [], 0), 20)
        assert kept(Deadlines) - before == 2
    finally:
        for loop in loops:
            loop.stop()


def test_many_tasks_end_each_at_its_own_time(clock):
    limiter, ended = of(1_000, clock), []

    async def begin_at(s):
        await asyncio.sleep(s)
        with pytest.raises(TimeLimitExceeded):
            await limiter.acall(slow, [])
        ended.append(clock.ns // 1_000_000)

    async def scene():
        await asyncio.gather(begin_at(0.7), begin_at(0), begin_at(0.3), limiter.acall(slow, [], 0.1))

    clock.run(scene())
    assert ended == [1_000, 1_300, 1_700]


def test_limits_that_have_ended_do_not_pile_up_behind_one_that_goes_on(clock):
    limiter = of(1_000_000, clock)

    async def scene():
        going_on = asyncio.create_task(limiter.acall(slow, [], 9))
        for _ in range(2_000):
            await limiter.acall(slow, [], 0)
        left = kept(Deadline)
        await going_on
        return left

    assert clock.run(scene()) <= 100


def test_those_that_go_on_end_at_their_own_times_however_many_have_ended_between(clock):
    limiter, ended = of(1_000, clock), []

    async def goes_on():
        with pytest.raises(TimeLimitExceeded):
            await limiter.acall(slow, [])
        ended.append(round(clock.ns / 1_000_000))

    async def scene():
        going_on = []
        for _ in range(200):
            going_on.append(asyncio.create_task(goes_on()))
            await asyncio.gather(*(limiter.acall(slow, [], 0) for _ in range(3)))
            await asyncio.sleep(0.001)
        await asyncio.gather(*going_on)

    clock.run(scene())
    assert ended == list(range(1_000, 1_200))


def test_the_nearer_of_two_limits_counts(clock):
    outer, inner, log = of(1_000, clock), of(2_000, clock), []

    async def twice():
        await inner.acall(slow, log)

    with pytest.raises(TimeLimitExceeded):
        clock.run(outer.acall(twice))
    assert (types(outer), types(inner)) == (["TIMEOUT"], [])


def test_a_plain_function_that_takes_too_long_is_told_so_and_dropped(clock):
    begun, release, ended, told = threading.Event(), threading.Event(), threading.Event(), []
    clock.later(500, lambda: begun.wait(60))

    def work():
        begun.set()
        release.wait()
        told.append(cancelled())
        ended.set()

    limiter = of(1_000, clock)
    with pytest.raises(TimeLimitExceeded):
        limiter.call(work)
    assert (clock.ns, types(limiter)) == (1_000_000_000, ["TIMEOUT"])
    release.set()
    assert ended.wait(60)
    assert told == [True]


def test_a_plain_function_in_time_gives_its_result_or_its_error():
    limiter = TimeLimiter("t", TimeLimiterPolicy(timeout_duration_ms=60_000))
    assert limiter.call(lambda: (7, cancelled())) == (7, False)
    with pytest.raises(ZeroDivisionError):
        limiter.call(lambda: 1 / 0)
    assert types(limiter) == ["SUCCESS", "ERROR"]
