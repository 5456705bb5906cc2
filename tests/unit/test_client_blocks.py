"""`with breaker:` of one breaker that many share: each block ends its own permit, wherever it is left."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager
from contextvars import copy_context

import pytest

from app.client.errors import BulkheadFull
from app.client.resilience import Resilience
from app.domain.breakers.breaker import State
from app.domain.bulkhead import BulkheadPolicy
from tests.support.failures import NetworkError
from tests.support.small_breaker import SMALL, fail, of
from tests.support.virtual_clock import MS, VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def breaker(clock):
    return of(clock)


@pytest.fixture(params=["breaker", "resilience", "one guard of it"])
def entered(request, breaker, clock):
    """What stands after `with`, each time it is entered."""
    if request.param == "breaker":
        return lambda: breaker
    resilience = Resilience(policies={"bulkhead": {"pay": BulkheadPolicy()}}, clock=clock)
    resilience.registry.put(breaker)
    guard = resilience("pay")
    return (lambda: resilience("pay")) if request.param == "resilience" else (lambda: guard)


def took(breaker):
    return [event.duration_ms for event in breaker.recent_events()]


def half_open(breaker):
    """After four failed calls and the wait: two trial calls are permitted."""
    fail(breaker, 4)
    breaker.clock.advance(1_001 * MS)


def dependency(entered):
    """As a web framework has it: the block is around the `yield`."""
    with entered():
        yield


def in_another_context(fn, *args):
    """And in another thread, as a framework runs what is not a coroutine."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, fn, *args).result()


def test_blocks_may_be_in_one_another(breaker, entered, clock):
    with entered():
        clock.advance(5 * MS)
        with entered():
            clock.advance(7 * MS)
    assert took(breaker) == [7, 12]


def test_one_statement_may_enter_it_twice(breaker, clock):
    with breaker, breaker:
        clock.advance(5 * MS)
    assert took(breaker) == [5, 5]


def test_a_block_is_left_in_another_context_and_thread_than_it_was_entered_in(breaker, entered, clock):
    resource = contextmanager(dependency)(entered)
    in_another_context(resource.__enter__)
    clock.advance(5 * MS)
    in_another_context(resource.__exit__, None, None, None)
    assert took(breaker) == [5]


def test_a_block_around_such_a_one_keeps_its_own_permit(breaker, entered, clock):
    with entered():
        clock.advance(1 * MS)
        resource = contextmanager(dependency)(entered)
        in_another_context(resource.__enter__)
        clock.advance(5 * MS)
        in_another_context(resource.__exit__, None, None, None)
    assert took(breaker) == [5, 6]


def test_generators_that_take_turns_end_their_own_permits(breaker, entered, clock):
    first, second = dependency(entered), dependency(entered)
    next(first)
    clock.advance(5 * MS)
    next(second)
    clock.advance(7 * MS)
    next(first, None)
    clock.advance(9 * MS)
    next(second, None)
    assert took(breaker) == [12, 16]


def test_a_permit_is_of_the_state_that_gave_it(breaker, entered):
    late = dependency(entered)
    next(late)
    half_open(breaker)
    trials = [dependency(entered), dependency(entered)]
    for trial in trials:
        next(trial)
    next(late, None)
    assert (breaker.state, breaker.try_acquire()) == (State.HALF_OPEN, False)
    for trial in trials:
        next(trial, None)
    assert breaker.state is State.CLOSED


def test_a_block_that_outlives_a_policy_is_counted(breaker, entered):
    block = dependency(entered)
    next(block)
    breaker.policy = SMALL
    next(block, None)
    assert breaker.metrics().buffered == 1


def test_a_block_that_fails_is_a_failed_call_and_raises(breaker, entered):
    for _ in range(4):
        with pytest.raises(NetworkError), entered():
            raise NetworkError
    assert breaker.state is State.OPEN


def test_a_block_that_shows_the_rate_of_failures_opens_it_at_once(breaker, entered):
    fail(breaker, 2)
    for _ in range(2):
        with entered():
            pass
    assert breaker.state is State.OPEN


def test_a_slow_block_is_a_slow_call(clock):
    breaker = of(clock, slow_call_duration_threshold_ms=10, slow_call_rate_threshold=50.0)
    for ms in (10, 11, 10, 11):
        with breaker:
            clock.advance(ms * MS)
    assert breaker.state is State.OPEN


def test_a_dependency_whose_user_fails_is_a_failed_call(breaker, entered):
    resource = contextmanager(dependency)(entered)
    error = NetworkError()
    in_another_context(resource.__enter__)
    assert not in_another_context(resource.__exit__, NetworkError, error, None)
    assert (breaker.metrics().failed, breaker.metrics().buffered) == (1, 1)


def test_a_dependency_that_nobody_ends_gives_its_permit_back(breaker, entered):
    half_open(breaker)
    given_up = dependency(entered)
    next(given_up)
    del given_up
    assert [breaker.try_acquire() for _ in range(3)] == [True, True, False]


async def test_tasks_that_overlap_end_their_own_permits(breaker, entered, clock):
    async def later(ms):
        async with entered():
            await asyncio.sleep(0)
            clock.advance(ms * MS)
            await asyncio.sleep(0)

    await asyncio.gather(later(5), later(7))
    assert sorted(took(breaker)) == [12, 12]


async def test_a_task_begun_in_a_block_outlives_it_with_a_permit_of_its_own(breaker, entered, clock):
    may_end = asyncio.Event()

    async def outlives():
        async with entered():
            clock.advance(5 * MS)
            await may_end.wait()

    async with entered():
        task = asyncio.create_task(outlives())
        await asyncio.sleep(0)
    clock.advance(7 * MS)
    may_end.set()
    await task
    assert took(breaker) == [5, 12]


def test_threads_that_overlap_lose_none_and_end_none_twice(entered, breaker):
    breaker.policy = type(SMALL)(sliding_window_size=10_000, minimum_number_of_calls=10_000)
    together = threading.Barrier(4)

    def work():
        together.wait()
        for _ in range(500):
            with entered(), entered():
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert breaker.metrics().buffered == 4_000


async def test_a_stack_may_hold_blocks(breaker, entered, clock):
    with ExitStack() as stack:
        stack.enter_context(entered())
        clock.advance(5 * MS)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(entered())
        clock.advance(7 * MS)
        await stack.enter_async_context(entered())
    assert took(breaker) == [5, 0, 7]


def test_a_stack_may_be_left_in_another_context(breaker, entered, clock):
    stack = ExitStack()
    in_another_context(stack.enter_context, entered())
    clock.advance(5 * MS)
    in_another_context(stack.close)
    assert took(breaker) == [5]


def test_a_block_that_is_refused_leaves_nothing_behind(breaker, clock):
    resilience = Resilience(policies={"bulkhead": {"pay": BulkheadPolicy(max_concurrent_calls=2)}}, clock=clock)
    resilience.registry.put(breaker)
    guard = resilience("pay")
    with guard, guard, pytest.raises(BulkheadFull), guard:
        pass
    assert [event.type for event in breaker.recent_events()] == ["ERROR", "SUCCESS", "SUCCESS"]
    assert resilience.registry.get("bulkhead", "pay").available == 2


def test_to_leave_what_was_not_entered_is_an_error(breaker):
    with breaker:
        pass
    with pytest.raises(RuntimeError, match="not entered"):
        breaker.__exit__(None, None, None)
