import asyncio
from contextlib import suppress

import pytest

from app.client.breaker import CircuitBreaker
from app.client.bulkhead import Bulkhead
from app.client.errors import BulkheadFull, CallNotPermitted, NotPermitted, RequestNotPermitted, TimeLimitExceeded
from app.client.resilience import Resilience
from app.client.retry import Retry, RetryPolicy
from app.client.settings import Settings
from app.domain.breakers.breaker import State
from app.domain.bulkhead import BulkheadPolicy
from app.domain.rate_limiter import RateLimiterPolicy
from app.domain.time_limiter import TimeLimiterPolicy
from tests.support.members import Member
from tests.support.virtual_clock import VirtualClock

S = 1_000_000_000
FILE = {
    "resilience4j": {
        "retry": {"instances": {"payment-service": {"maxAttempts": 3, "waitDuration": "1s"}}},
        "circuitbreaker": {"instances": {"payment-service": {"slidingWindowSize": 10}}},
        "ratelimiter": {"configs": {"default": {"limitForPeriod": 100, "limitRefreshPeriod": "1s"}}},
        "timelimiter": {"instances": {"payment-service": {"timeoutDuration": "2s"}}},
        "bulkhead": {"instances": {"default": {"maxConcurrentCalls": 2}}},
    }
}


def told(breaker):
    """How its calls ended, how many ms they took, and their errors."""
    return [(event.type, event.duration_ms, event.error) for event in breaker.recent_events()]


def free(breaker):
    """How many more calls it permits now, which are none afterwards."""
    seqs = []
    with suppress(CallNotPermitted):
        while len(seqs) < 100:
            seqs.append(breaker.acquire())
    for seq in seqs:
        breaker.release(seq)
    return len(seqs)


@pytest.fixture
def clock():
    return VirtualClock(patient=True)


@pytest.fixture
def resilience(clock):
    return Resilience(FILE, clock=clock)


def families(resilience, name):
    return [part.kind for part in resilience.parts(name)]


def half_open(resilience, name):
    """Its breaker, none of whose 10 trial calls is made yet."""
    resilience.parts(name)
    breaker = resilience.registry.get("circuitbreaker", name)
    breaker.move("OPEN")
    breaker.move("HALF_OPEN")
    return breaker


def failing(times, error=ConnectionError, result="ok"):
    left = [None] * times

    def fn():
        if left:
            left.pop()
            raise error
        return result

    return fn


def test_what_is_configured_takes_part_in_resilience4js_order(resilience):
    everything = ["retry", "circuitbreaker", "ratelimiter", "timelimiter", "bulkhead"]
    assert families(resilience, "payment-service") == everything
    assert families(resilience, "stock-service") == ["ratelimiter", "bulkhead"]


def test_a_call_is_tried_again_and_the_breaker_sees_each_attempt(clock):
    resilience = Resilience(policies={"retry": {"pay": RetryPolicy()}}, clock=clock)
    breaker = CircuitBreaker("pay", clock=clock)
    resilience.registry.put(breaker)
    assert resilience.call("pay", failing(2)) == "ok"
    assert told(breaker) == [*[("ERROR", 0, "ConnectionError: ")] * 2, ("SUCCESS", 0, None)]


def test_the_order_may_be_another(clock):
    breaker = CircuitBreaker("pay", clock=clock)
    policies = {"retry": {"pay": RetryPolicy()}}
    order = ("circuitbreaker", "retry", "ratelimiter", "timelimiter", "bulkhead")
    resilience = Resilience(policies=policies, order=order, clock=clock)
    resilience.registry.put(breaker)
    assert resilience.call("pay", failing(2)) == "ok"
    assert told(breaker) == [("SUCCESS", 1_000, None)]
    with pytest.raises(ValueError, match="expected retry, circuitbreaker, ratelimiter, timelimiter, bulkhead"):
        Resilience(order=("retry",))


def test_a_refusal_of_the_breaker_is_an_error_like_others_to_the_retry(resilience):
    resilience.call("payment-service", int)
    breaker = resilience.registry.get("circuitbreaker", "payment-service")
    breaker.open_for(5_000)
    with pytest.raises(CallNotPermitted, match="try again in 3001 ms"):
        resilience.call("payment-service", int)
    assert resilience.registry.get("retry", "payment-service").counts()["failed_with_retry"] == 1
    assert breaker.policy.sliding_window_size == 10


def test_execute_with_resilience_is_the_same_by_another_name(resilience):
    assert resilience.execute_with_resilience("payment-service", failing(1)) == "ok"


def test_a_coroutine_has_the_same_around_it(resilience, clock):
    async def slow(s):
        await asyncio.sleep(s)
        return s

    async def scene():
        assert await resilience.acall("payment-service", slow, 1) == 1
        with pytest.raises(TimeLimitExceeded):
            await resilience.acall("payment-service", slow, s=9)

    clock.run(scene())
    breaker = resilience.registry.get("circuitbreaker", "payment-service")
    assert [event[:2] for event in told(breaker)] == [("SUCCESS", 1_000), *[("ERROR", 2_000)] * 3]
    assert resilience.registry.get("bulkhead", "payment-service").available == 2


def test_a_cancelled_call_gives_its_permission_back(resilience, clock):
    breaker = half_open(resilience, "payment-service")

    async def scene():
        task = asyncio.create_task(resilience.acall("payment-service", asyncio.sleep, 1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    clock.run(scene())
    assert (free(breaker), breaker.metrics().buffered) == (10, 0)
    assert resilience.registry.get("bulkhead", "payment-service").available == 2


def test_an_interrupted_call_gives_its_permission_back_too(resilience):
    def interrupted():
        raise KeyboardInterrupt

    resilience.registry.put(CircuitBreaker("stock-service"))
    breaker = half_open(resilience, "stock-service")
    with pytest.raises(KeyboardInterrupt):
        resilience.call("stock-service", interrupted)
    with pytest.raises(KeyboardInterrupt), resilience("stock-service"):
        interrupted()
    assert (free(breaker), breaker.metrics().buffered) == (10, 0)


def test_it_decorates_functions_and_coroutine_functions(resilience, clock):
    @resilience("payment-service")
    def charge(amount):
        """Takes the money."""
        return amount * 2

    @resilience("payment-service")
    async def charge_later(amount):
        return amount * 2

    assert (charge(2), clock.run(charge_later(amount=3))) == (4, 6)
    assert (charge.__name__, charge.__doc__) == ("charge", "Takes the money.")
    assert asyncio.iscoroutinefunction(charge_later)


def test_a_fallback_stands_outside_of_all(resilience):
    @resilience("payment-service", fallback={NotPermitted: lambda error, amount: (error.name, -amount)})
    def charge(amount):
        return amount

    assert charge(2) == 2
    resilience.registry.get("circuitbreaker", "payment-service").move("FORCED_OPEN")
    assert charge(2) == ("payment-service", -2)


def test_a_block_holds_breaker_limiter_and_bulkhead(resilience, clock):
    with resilience("payment-service"):
        bulkhead = resilience.registry.get("bulkhead", "payment-service")
        assert bulkhead.available == 1
        clock.advance(7_000_000)
    with pytest.raises(ConnectionError), resilience("payment-service"):
        raise ConnectionError
    breaker = resilience.registry.get("circuitbreaker", "payment-service")
    assert told(breaker) == [("SUCCESS", 7, None), ("ERROR", 0, "ConnectionError: ")]
    assert bulkhead.available == 2


def test_an_async_block_is_the_same(resilience, clock):
    async def scene():
        async with resilience("payment-service"):
            return resilience.registry.get("bulkhead", "payment-service").available

    assert clock.run(scene()) == 1
    assert told(resilience.registry.get("circuitbreaker", "payment-service")) == [("SUCCESS", 0, None)]


def test_a_name_for_which_nothing_is_configured_is_refused_and_not_left_unguarded():
    resilience = Resilience({"resilience4j": {"retry": {"instances": {"payment-service": {}}}}})
    with pytest.raises(LookupError, match="nothing is configured for 'payment-servise'; nearest: payment-service"):
        resilience.call("payment-servise", int)
    with pytest.raises(LookupError), resilience("other"):
        pass


def test_without_another_maker_the_breaker_is_that_of_this_process_alone():
    resilience = Resilience(FILE, clock=VirtualClock(patient=True))
    for fails in (failing(1, ValueError), failing(0)):
        with suppress(ValueError):
            resilience.call("payment-service", fails)
    assert resilience.snapshot()["circuitbreaker"]["payment-service"]["buffered"] == 3
    with resilience("payment-service"):
        pass
    assert resilience.registry.get("circuitbreaker", "payment-service").metrics().buffered == 4


def test_a_call_is_held_back_by_the_breaker_of_its_operation_alone():
    member = Member()
    resilience = Resilience(FILE, breaker=member.fleet.breaker, clock=VirtualClock(patient=True))
    member.told(State.OPEN, 1, breaker="payment-service:op:charge", until=5_000)
    assert resilience("payment-service", operation="refund").call(int) == 0
    with pytest.raises(CallNotPermitted, match="payment-service:op:charge"):
        resilience("payment-service", operation="charge", instance="pay-3").call(int)
    assert resilience.call("payment-service", int) == 0
    assert {said.get("operation") for said in member.said()} == {None, "charge", "refund"}


def test_each_name_has_parts_of_its_own(resilience):
    resilience.call("payment-service", int)
    resilience.call("stock-service", int)
    assert resilience.registry.get("bulkhead", "payment-service").counts()["CALL_FINISHED"] == 1


def test_the_registry_tells_what_is_added_replaced_and_removed(resilience, clock):
    told = []
    leave = resilience.registry.on_event(lambda event: told.append((event.type, event.family, event.name)))
    resilience.call("stock-service", int)
    resilience.registry.put(Bulkhead("stock-service", BulkheadPolicy(max_concurrent_calls=0), clock))
    with pytest.raises(BulkheadFull):
        resilience.call("stock-service", int)
    resilience.registry.remove("bulkhead", "stock-service")
    assert resilience.call("stock-service", int) == 0
    leave()
    resilience.registry.put(Retry("stock-service"))
    assert told == [
        ("ADDED", "ratelimiter", "stock-service"),
        ("ADDED", "bulkhead", "stock-service"),
        ("REPLACED", "bulkhead", "stock-service"),
        ("REMOVED", "bulkhead", "stock-service"),
    ]
    assert families(resilience, "stock-service") == ["retry", "ratelimiter"]


def test_policies_stand_in_the_place_of_settings(clock):
    limit = RateLimiterPolicy(limit_for_period=1, limit_refresh_period_ns=S, timeout_duration_ns=0)
    policies = {"ratelimiter": {"payment-service": limit}, "timelimiter": {"default": TimeLimiterPolicy()}}
    resilience = Resilience(Settings(FILE), policies=policies, clock=clock)
    assert families(resilience, "stock-service") == ["ratelimiter", "timelimiter", "bulkhead"]
    resilience.registry.remove("retry", "payment-service")
    with resilience("payment-service"):
        pass
    with pytest.raises(RequestNotPermitted), resilience("payment-service"):
        pass


def test_a_snapshot_has_what_was_counted_and_what_is_the_case_now(resilience):
    resilience.call("stock-service", int)
    with resilience("stock-service"):
        assert resilience.snapshot()["bulkhead"]["stock-service"] == {
            "CALL_PERMITTED": 2,
            "CALL_REJECTED": 0,
            "CALL_FINISHED": 1,
            "available": 1,
            "limit": 2,
            "waiting": 0,
        }
    assert resilience.snapshot()["ratelimiter"]["stock-service"]["available"] == 98


def test_a_thread_pool_holds_plain_functions_and_lets_coroutines_by(clock):
    pool = {"maxThreadPoolSize": 1, "coreThreadPoolSize": 1}
    resilience = Resilience({"resilience4j": {"thread-pool-bulkhead": {"instances": {"pay": pool}}}}, clock=clock)

    async def later():
        return 7

    assert resilience.call("pay", int) == 0
    assert clock.run(resilience.acall("pay", later)) == 7
    assert resilience.registry.get("thread-pool-bulkhead", "pay").counts()["CALL_FINISHED"] == 1
