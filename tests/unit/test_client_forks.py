"""A child after `os.fork()` goes on with what its parent has made: gunicorn --preload, multiprocessing."""

import threading
from contextlib import ExitStack, suppress

import pytest

from app.client.alarm import ALARM
from app.client.breaker import CircuitBreaker
from app.client.bulkhead import Bulkhead
from app.client.cache_fallback import CacheFallback
from app.client.errors import CallNotPermitted
from app.client.fleet import Fleet
from app.client.rate_limiter import RateLimiter
from app.client.report import Report
from app.client.resilience import Resilience
from app.client.retry import Retry, RetryPolicy
from app.client.retry_budget import RetryBudget
from app.client.scope import Who
from app.client.thread_pool_bulkhead import ThreadPoolBulkhead
from app.client.time_limiter import TimeLimiter
from app.client.worker_pool import WORKERS
from app.domain.breakers.breaker import State
from app.domain.bulkhead import BulkheadPolicy, ThreadPoolBulkheadPolicy
from tests.support.child import held_by_another_thread, in_child
from tests.support.members import Member
from tests.support.small_breaker import SMALL, fail, of
from tests.support.virtual_clock import MS, VirtualClock

WHO = Who("order-service", "order-1")
ONE_THREAD = ThreadPoolBulkheadPolicy(max_thread_pool_size=1, core_thread_pool_size=1)


def seven():
    return 7


def reporting(part):
    report = Report(print, WHO)
    report.watch(part)
    return report


BUDGETED = Retry("pay", RetryPolicy(budget_percent=20))
POOL = ThreadPoolBulkhead("pay", ONE_THREAD)
HEARD = CircuitBreaker("pay")
REPORT = reporting(HEARD)
FLEET = Fleet(lambda _: [], Report(print, WHO))
RESILIENCE = Resilience({"resilience4j": {"retry": {"instances": {"pay": {}}}}})


@pytest.mark.parametrize(
    ("lock", "use"),
    [
        (HEARD._steps._lock, lambda: [HEARD.call(seven), HEARD.metrics()][0]),
        (REPORT._lock, lambda: [HEARD.call(seven), REPORT.flush()][0]),
        (REPORT._tallies._lock, lambda: [HEARD.call(seven), REPORT.flush()][0]),
        (FLEET._lock, lambda: FLEET.breaker("pay").call(seven)),
        (BUDGETED.events._lock, lambda: BUDGETED.call(seven)),
        (BUDGETED.budget._lock, lambda: BUDGETED.call(seven)),
        ((limiter := RateLimiter("pay"))._lock, lambda: limiter.call(seven)),
        ((bulkhead := Bulkhead("pay"))._permits._lock, lambda: bulkhead.call(seven)),
        ((cache := CacheFallback("pay"))._lock, lambda: cache.call(seven)),
        (POOL.pool._ready, lambda: POOL.call(seven)),
        (WORKERS._ready, lambda: TimeLimiter("pay").call(seven)),
        (RESILIENCE._lock, lambda: RESILIENCE.call("pay", seven)),
        (RESILIENCE.registry._lock, lambda: [RESILIENCE.call("pay", seven), RESILIENCE.snapshot()][0]),
        (ALARM._lock, lambda: [ALARM.set(1 << 50, print), 7][1]),
    ],
    ids=[
        *("breaker", "report", "tallies", "fleet", "events", "budget", "limiter", "bulkhead", "cache", "pool"),
        *("workers", "resilience", "registry", "alarm"),
    ],
)
def test_a_lock_that_a_thread_of_the_parent_holds_is_free_in_the_child(lock, use):
    with held_by_another_thread(lock):
        assert in_child(use) == 7


def test_a_permit_that_a_thread_of_the_parent_holds_is_free_in_the_child():
    bulkhead = Bulkhead("pay", BulkheadPolicy(max_concurrent_calls=1))
    with held_by_another_thread(bulkhead):
        assert in_child(lambda: bulkhead.available) == 1
        assert bulkhead.available == 0


def test_a_permit_that_the_forking_thread_holds_comes_back_in_the_parent_alone():
    bulkhead = Bulkhead("pay", BulkheadPolicy(max_concurrent_calls=2))
    with ExitStack() as held:
        held.enter_context(bulkhead)

        def child():
            with bulkhead:
                beside_its_own = bulkhead.available
            held.close()
            return beside_its_own, bulkhead.available

        assert in_child(child) == [1, 2]
        assert bulkhead.available == 1
    assert bulkhead.available == 2


def test_a_call_that_forks_is_in_progress_in_the_parent_alone():
    clock = VirtualClock()
    budget = RetryBudget(percent=100, floor=0, clock=clock)
    budget.begin()

    def child():
        budget.end()
        budget.begin()
        clock.advance(11_000 * MS)
        return budget.withdraw()

    assert in_child(child)


def test_the_threads_of_a_pool_are_made_anew_in_the_child():
    assert (POOL.call(seven), in_child(lambda: POOL.call(seven)), POOL.call(seven)) == (7, 7, 7)


def test_the_child_counts_what_it_does_itself():
    breaker = of(VirtualClock())
    fail(breaker, 3)

    def child():
        breaker.call(seven)
        return breaker.counts()["ERROR"], breaker.counts()["SUCCESS"], breaker.metrics().failed

    assert in_child(child) == [0, 1, 3]


def test_trial_calls_of_the_parent_leave_those_of_the_child_free():
    breaker = of(VirtualClock())
    fail(breaker, 4)
    breaker.clock.advance(1_001 * MS)
    assert [breaker.try_acquire() for _ in range(3)] == [True, True, False]

    def child():
        for _ in range(2):
            breaker.call(seven)
        return breaker.state

    assert in_child(child) == State.CLOSED


def test_a_timer_is_set_again_with_the_next_call():
    policy = type(SMALL)(
        sliding_window_size=4,
        minimum_number_of_calls=4,
        wait_duration_in_open_state_ms=300,
        automatic_transition_from_open_to_half_open_enabled=True,
    )
    breaker, half_open = CircuitBreaker("pay", policy), threading.Event()
    breaker.on_event(lambda event: half_open.set() if event.to == "HALF_OPEN" else None, "STATE_TRANSITION")
    fail(breaker, 4)

    def child():
        with suppress(CallNotPermitted):
            breaker.call(seven)
        return half_open.wait(10)

    assert in_child(child)


def test_permits_of_the_fleet_are_the_parents_and_the_child_asks_for_its_own():
    member = Member()
    member.told(State.HALF_OPEN, 1, permits={"order-1": 2}, lease=10_000)

    def child():
        permitted = member.permits()
        [said] = member.said()
        return permitted, said["client"], said["counts"]

    permitted, client, counts = in_child(child)
    assert (permitted, counts) == (False, {"rejected": 1})
    assert client.startswith("order-1-")
    assert [member.permits() for _ in range(3)] == [True, True, False]


def test_what_waits_is_told_by_the_parent_alone_and_of_its_own_calls_the_child_tells():
    member = Member()
    member.permits()

    def child():
        member.permits()
        member.permits()
        return member.said()

    [child_said], [parent_said] = in_child(child), member.said()
    assert (child_said["counts"], parent_said["counts"]) == ({"success": 2}, {"success": 1})
    assert parent_said["client"] == "order-1" != child_said["client"]


def test_children_of_one_parent_have_names_of_their_own():
    member = Member()
    names = {in_child(lambda: member.report.who.client) for _ in range(3)} | {member.report.who.client}
    assert len(names) == 4
    assert in_child(lambda: in_child(lambda: member.report.who.client).count("-")) == 3
