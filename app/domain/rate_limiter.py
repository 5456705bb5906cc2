"""Permits for each period: AtomicRateLimiter of Resilience4j 2.4. Nanoseconds count from the birth of the limiter."""

from __future__ import annotations

import msgspec

from .setting import AtLeast0, AtLeast1, check_bounds, setting

REFUSED = -1


class RateLimiterPolicy(msgspec.Struct, frozen=True, kw_only=True, rename=setting):
    """Under Resilience4j's names, with its defaults: 50 calls each 500 ns, which is next to no limit."""

    limit_for_period: AtLeast1 = 50
    limit_refresh_period_ns: AtLeast1 = 500
    timeout_duration_ns: AtLeast0 = 5_000_000_000

    def __post_init__(self) -> None:
        check_bounds(self)


class RateLimiter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`permits` are those left when it was last looked at, in that period; below 0 while reserved ahead."""

    period: int
    permits: int


def born(policy: RateLimiterPolicy) -> RateLimiter:
    return RateLimiter(0, policy.limit_for_period)


def reserve(limiter: RateLimiter, permits: int, now_ns: int, policy: RateLimiterPolicy) -> tuple[RateLimiter, int]:
    """With the permits taken, and the wait until they may be used; REFUSED, untaken, where it passes the timeout."""
    limiter = refreshed(limiter, now_ns, policy)
    wait_ns = wait_for(limiter, permits, now_ns, policy)
    if wait_ns > policy.timeout_duration_ns:
        return limiter, REFUSED
    return RateLimiter(limiter.period, limiter.permits - permits), wait_ns


def drain(limiter: RateLimiter, now_ns: int, policy: RateLimiterPolicy) -> RateLimiter:
    """Takes what was left at the last look, not what a new period has brought since; a debt is forgiven."""
    left = limiter.permits
    limiter = refreshed(limiter, now_ns, policy)
    return RateLimiter(limiter.period, limiter.permits - left) if limiter.permits >= left else limiter


def refreshed(limiter: RateLimiter, now_ns: int, policy: RateLimiterPolicy) -> RateLimiter:
    """With what the periods since have brought, at most one period's limit."""
    period = now_ns // policy.limit_refresh_period_ns
    if period == limiter.period:
        return limiter
    brought = (period - limiter.period) * policy.limit_for_period
    return RateLimiter(period, min(limiter.permits + brought, policy.limit_for_period))


def wait_for(limiter: RateLimiter, permits: int, now_ns: int, policy: RateLimiterPolicy) -> int:
    """Of a refreshed limiter: nanoseconds until so many permits are there, whatever the timeout."""
    missing = permits - limiter.permits
    if missing <= 0:
        return 0
    to_next_ns = (limiter.period + 1) * policy.limit_refresh_period_ns - now_ns
    full_periods = (missing - 1) // policy.limit_for_period
    return full_periods * policy.limit_refresh_period_ns + to_next_ns
