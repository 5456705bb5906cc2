"""The rate limiter does what AtomicRateLimiter does: tests/resilience4j/limiter.json, all levels."""

import msgspec
import pytest

from app.domain.rate_limiter import RateLimiterPolicy, born, drain, refreshed, reserve, wait_for
from tests.support.resilience4j import scenarios


class Replay:
    def __init__(self, limit: int, period_ns: int, timeout_ns: int) -> None:
        self.policy = RateLimiterPolicy(
            limit_for_period=limit, limit_refresh_period_ns=period_ns, timeout_duration_ns=timeout_ns
        )
        self.limiter = born(self.policy)
        self.now_ns = 0

    def step(self, op: str, nanos: int = 0, permits: int = 1, to: int = 0) -> int | None:
        match op:
            case "reserve":
                self.limiter, wait_ns = reserve(self.limiter, permits, self.now_ns, self.policy)
                return wait_ns
            case "drain":
                self.limiter = drain(self.limiter, self.now_ns, self.policy)
            case "advance":
                self.now_ns += nanos
            case "limit":
                self.policy = msgspec.structs.replace(self.policy, limit_for_period=to)
            case "timeout":
                self.policy = msgspec.structs.replace(self.policy, timeout_duration_ns=nanos)
        return None

    def metrics(self) -> list[int]:
        seen = refreshed(self.limiter, self.now_ns, self.policy)
        return [seen.permits, wait_for(seen, 1, self.now_ns, self.policy), seen.period]


@pytest.mark.parametrize("scenario", scenarios("limiter"))
def test_it_does_what_resilience4j_does(scenario):
    config = scenario["config"]
    replay = Replay(config["limitForPeriod"], config["limitRefreshPeriodNanos"], config["timeoutNanos"])
    for n, (step, expected) in enumerate(zip(scenario["steps"], scenario["expect"]["steps"], strict=True)):
        assert replay.step(**step) == expected.get("waitNanos"), f"step {n}"
        assert replay.metrics() == expected["m"], f"step {n}"
