import pytest

from app.client.errors import NotPermitted, RequestNotPermitted
from app.client.rate_limiter import RateLimiter
from app.domain.rate_limiter import RateLimiterPolicy
from tests.support.resilience4j import scenarios
from tests.support.virtual_clock import VirtualClock

S = 1_000_000_000


@pytest.fixture
def clock():
    return VirtualClock()


def of(clock, limit=2, timeout_ns=0, **extras):
    policy = RateLimiterPolicy(limit_for_period=limit, limit_refresh_period_ns=S, timeout_duration_ns=timeout_ns)
    return RateLimiter("l", policy, clock, **extras)


@pytest.mark.parametrize("scenario", scenarios("limiter"))
def test_it_does_what_resilience4j_does(scenario, clock):
    config = scenario["config"]
    clock.ns = scenario["startNanos"]
    policy = RateLimiterPolicy(
        limit_for_period=config["limitForPeriod"],
        limit_refresh_period_ns=config["limitRefreshPeriodNanos"],
        timeout_duration_ns=config["timeoutNanos"],
    )
    limiter = RateLimiter("l", policy, clock)
    for step, expected in zip(scenario["steps"], scenario["expect"]["steps"], strict=True):
        assert taken(limiter, step) == expected.get("waitNanos")
        assert limiter.available == expected["m"][0]


def taken(limiter, step):
    match step["op"]:
        case "reserve":
            try:
                return limiter.reserve(step["permits"])
            except RequestNotPermitted:
                return -1
        case "advance":
            limiter.clock.advance(step["nanos"])
        case "drain":
            limiter.drain()
        case "limit":
            limiter.change_limit(step["to"])
        case "timeout":
            limiter.change_timeout(step["nanos"])
    return None


def test_what_cannot_be_permitted_in_time_is_refused_at_once_and_told_when(clock):
    limiter = of(clock)
    clock.advance(S // 4)
    assert [limiter.call(str, n) for n in range(2)] == ["0", "1"]
    with pytest.raises(NotPermitted, match="try again in 750 ms") as raised:
        limiter.call(print)
    assert (raised.value.name, raised.value.retry_after_ms) == ("l", 750)
    clock.advance(raised.value.retry_after_ms * 1_000_000)
    assert limiter.call(lambda: "now") == "now"
    assert limiter.counts() == {"SUCCESSFUL_ACQUIRE": 3, "FAILED_ACQUIRE": 1, "DRAINED": 0}


def test_who_is_told_when_to_come_again_may_wait_then(clock):
    limiter = of(clock, limit=1, timeout_ns=S // 4)
    limiter.acquire()
    with pytest.raises(RequestNotPermitted) as raised:
        limiter.acquire()
    assert raised.value.retry_after_ms == 750
    clock.advance(750_000_000)
    assert limiter.reserve() == S // 4


def test_a_thread_sleeps_until_its_turn(clock):
    limiter = of(clock, limit=1, timeout_ns=5 * S)
    assert [limiter.call(lambda: clock.ns // S) for _ in range(4)] == [0, 1, 2, 3]
    assert clock.slept == [1_000, 1_000, 1_000]


def test_a_task_waits_until_its_turn(clock):
    limiter = of(clock, limit=1, timeout_ns=5 * S)

    async def now_s():
        return clock.ns // S

    async def scene():
        async with limiter:
            return [await limiter.acall(now_s) for _ in range(3)]

    assert clock.run(scene()) == [1, 2, 3]


def test_a_call_may_weigh_more(clock):
    limiter = of(clock, limit=10, weight=len)
    assert limiter.call(len, "abcdefg") == 7
    assert limiter.available == 3
    with pytest.raises(RequestNotPermitted):
        limiter.call(len, "abcd")


def test_a_result_may_drain_what_is_left(clock):
    limiter = of(clock, limit=10, drain_on=lambda outcome: outcome == 429 or isinstance(outcome, ConnectionError))
    assert limiter.call(lambda: 200) == 200
    assert limiter.call(lambda: 429) == 429
    with pytest.raises(RequestNotPermitted):
        limiter.call(lambda: 200)
    assert [event.type for event in limiter.recent_events()][-2:] == ["DRAINED", "FAILED_ACQUIRE"]
    clock.advance(S)
    with pytest.raises(ConnectionError), limiter:
        limiter.call(_broken)
    assert limiter.available == 0


def _broken():
    raise ConnectionError


def test_a_changed_limit_holds_from_the_next_period(clock):
    limiter = of(clock, limit=1)
    limiter.change_limit(3)
    assert limiter.available == 1
    clock.advance(S)
    assert limiter.available == 3
