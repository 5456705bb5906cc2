"""However calls come: a period has no more than its limit, a budget no more than its share."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.client.errors import RequestNotPermitted
from app.client.rate_limiter import RateLimiter
from app.client.retry_budget import RetryBudget
from app.domain.rate_limiter import RateLimiterPolicy
from tests.support.virtual_clock import VirtualClock

PERIOD_NS = 10


@given(
    limit=st.integers(1, 4),
    timeout_ns=st.integers(0, 35),
    pauses_ns=st.lists(st.integers(0, 12), max_size=40),
)
def test_no_period_permits_more_than_its_limit(limit, timeout_ns, pauses_ns):
    clock, permitted = VirtualClock(), Counter()
    policy = RateLimiterPolicy(
        limit_for_period=limit, limit_refresh_period_ns=PERIOD_NS, timeout_duration_ns=timeout_ns
    )
    limiter = RateLimiter("l", policy, clock)
    for pause_ns in pauses_ns:
        clock.advance(pause_ns)
        try:
            wait_ns = limiter.reserve()
        except RequestNotPermitted:
            soonest = (clock.ns + timeout_ns) // PERIOD_NS
            assert permitted[soonest] == limit
        else:
            assert wait_ns <= timeout_ns
            permitted[(clock.ns + wait_ns) // PERIOD_NS] += 1
    assert all(count <= limit for count in permitted.values())


@given(
    percent=st.sampled_from([10, 20, 50, 100]),
    floor=st.integers(0, 4),
    steps=st.lists(st.sampled_from(["begin", "end", "retry", "pause"]), max_size=120),
)
def test_retries_never_pass_the_budget(percent, floor, steps):
    clock = VirtualClock()
    budget = RetryBudget(percent, floor, window_ms=100, clock=clock)
    calls, retries, open_calls = [], [], 0
    for step in steps:
        if step == "begin":
            budget.begin()
            calls.append(clock.ns)
            open_calls += 1
        elif step == "end" and open_calls:
            budget.end()
            open_calls -= 1
        elif step == "pause":
            clock.advance(10_000_000)
        elif step == "retry":
            recent = max(open_calls, sum(at > clock.ns - 100_000_000 for at in calls))
            withdrawn = sum(at > clock.ns - 100_000_000 for at in retries)
            allowed = withdrawn + 1 <= max(floor, recent * percent / 100)
            assert budget.withdraw() == allowed
            retries += [clock.ns] * allowed
