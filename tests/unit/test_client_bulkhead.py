import asyncio
import threading

import pytest

from app.client.bulkhead import Bulkhead
from app.client.errors import BulkheadFull
from app.domain.bulkhead import BulkheadPolicy
from tests.support.resilience4j import scenarios
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


def of(limit, wait_ms=0, clock=None):
    policy = BulkheadPolicy(max_concurrent_calls=limit, max_wait_duration_ms=wait_ms)
    return Bulkhead("b", policy, clock or VirtualClock())


def types(bulkhead):
    return [event.type for event in bulkhead.recent_events()]


@pytest.mark.parametrize("scenario", scenarios("bulkhead"))
def test_it_does_what_resilience4j_does(scenario):
    bulkhead = of(scenario["config"]["maxConcurrentCalls"])
    acts = {"complete": bulkhead.complete, "release": bulkhead.release, "acquire": bulkhead.acquire}
    for step, expected in zip(scenario["steps"], scenario["expect"]["steps"], strict=True):
        before, permitted = len(types(bulkhead)), True
        try:
            acts[step["op"]]() if "to" not in step else bulkhead.resize(step["to"])
        except BulkheadFull:
            permitted = False
        assert permitted == expected.get("permitted", True)
        assert types(bulkhead)[before:] == expected.get("events", [])
        assert [bulkhead.available, bulkhead.policy.max_concurrent_calls] == expected["m"]


def test_a_full_one_refuses_at_once_and_says_its_name():
    bulkhead = of(1)
    with bulkhead, pytest.raises(BulkheadFull, match="'b' is full") as raised:
        bulkhead.call(print)
    assert raised.value.name == "b"
    assert bulkhead.available == 1
    assert bulkhead.counts() == {"CALL_PERMITTED": 1, "CALL_REJECTED": 1, "CALL_FINISHED": 1}


def test_the_permit_comes_back_whatever_happens():
    bulkhead = of(1)
    with pytest.raises(ZeroDivisionError):
        bulkhead.call(lambda: 1 / 0)
    assert bulkhead.call(lambda: 7) == 7


def test_a_thread_waits_until_a_permit_comes_back(clock):
    bulkhead = of(1, wait_ms=100, clock=clock)
    bulkhead.acquire()
    clock.later(60, bulkhead.complete)
    assert bulkhead.call(lambda: clock.ns) == 60_000_000


def test_a_thread_waits_no_longer_than_it_may(clock):
    bulkhead = of(1, wait_ms=100, clock=clock)
    bulkhead.acquire()
    with pytest.raises(BulkheadFull):
        bulkhead.acquire()
    assert clock.ns == 100_000_000
    assert bulkhead.waiting == 0


def test_tasks_come_in_turn(clock):
    bulkhead, order = of(1, wait_ms=1_000, clock=clock), []

    async def work(name):
        order.append(name)
        await asyncio.sleep(0.1)

    async def all_of_them():
        await asyncio.gather(*(bulkhead.acall(work, name) for name in "abc"))

    clock.run(all_of_them())
    assert order == ["a", "b", "c"]
    assert bulkhead.available == 1


def test_who_asks_later_waits_behind_the_waiting(clock):
    bulkhead, order = of(1, wait_ms=1_000, clock=clock), []

    async def hold(name):
        async with bulkhead:
            order.append(name)

    async def scene():
        await bulkhead.acquire_async()
        waiting = asyncio.create_task(hold("first"))
        await asyncio.sleep(0)
        bulkhead.complete()
        assert bulkhead.available == 0
        await asyncio.gather(hold("second"), waiting)

    clock.run(scene())
    assert order == ["first", "second"]


def test_a_task_that_is_cancelled_while_waiting_leaves_no_trace(clock):
    bulkhead = of(1, wait_ms=1_000, clock=clock)

    async def scene():
        await bulkhead.acquire_async()
        waiting = asyncio.create_task(bulkhead.acquire_async())
        await asyncio.sleep(0)
        waiting.cancel()
        bulkhead.complete()
        await asyncio.wait({waiting})

    clock.run(scene())
    assert (bulkhead.available, bulkhead.waiting) == (1, 0)


def test_a_task_waits_no_longer_than_it_may(clock):
    bulkhead = of(1, wait_ms=100, clock=clock)

    async def scene():
        async with bulkhead:
            with pytest.raises(BulkheadFull):
                await bulkhead.acquire_async()

    clock.run(scene())
    assert clock.ns >= 100_000_000
    assert (bulkhead.available, bulkhead.waiting) == (1, 0)


def test_a_higher_limit_lets_the_waiting_in(clock):
    bulkhead = of(1, wait_ms=100, clock=clock)
    bulkhead.acquire()
    clock.later(10, lambda: bulkhead.resize(2))
    bulkhead.acquire()
    assert (clock.ns, bulkhead.available) == (10_000_000, 0)


def test_never_more_threads_than_permits():
    policy = BulkheadPolicy(max_concurrent_calls=3, max_wait_duration_ms=60_000)
    bulkhead, seen, inside, lock = Bulkhead("b", policy), [], [], threading.Lock()

    @bulkhead
    def work():
        with lock:
            inside.append(1)
            seen.append(len(inside))
        with lock:
            inside.pop()

    def many():
        for _ in range(200):
            work()

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1_600
    assert max(seen) <= 3
    assert (bulkhead.available, bulkhead.counts()["CALL_FINISHED"]) == (3, 1_600)


def test_a_permit_passes_over_who_waited_in_a_loop_that_was_closed(clock):
    async def one_turn():
        pass

    bulkhead, loop = of(1, wait_ms=60_000, clock=clock), asyncio.new_event_loop()
    bulkhead.acquire()
    left = loop.create_task(bulkhead.acall(one_turn))
    loop.run_until_complete(one_turn())
    assert bulkhead.waiting == 1
    loop.close()

    bulkhead.complete()

    assert (bulkhead.available, bulkhead.waiting) == (1, 0)
    left._log_destroy_pending = False
    left.get_coro().close()
