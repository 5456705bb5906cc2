"""What a successful call costs, guarded by this library and by others: rounds of all in turn, in one process.

Prints JSON: by form and contender, us a call in each round, the plain call's taken off; and versions.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from time import process_time_ns
from typing import Any

import msgspec
import purgatory
import pybreaker
import stamina
import tenacity

from app.client import (
    CircuitBreaker,
    CircuitBreakerPolicy,
    Fleet,
    RateLimiterPolicy,
    Report,
    Resilience,
    Retry,
    RetryPolicy,
    TimeLimiterPolicy,
    Who,
)
from app.domain.breakers.window import WindowType
from app.domain.bulkhead import BulkheadPolicy

CALLS = 20_000
PLAIN = "plain"
PACKAGES = ("stamina", "tenacity", "purgatory", "pybreaker", "msgspec")

POLICIES = {
    "retry": RetryPolicy(),
    "circuitbreaker": CircuitBreakerPolicy(),
    "ratelimiter": RateLimiterPolicy(limit_for_period=1_000_000_000),
    "bulkhead": BulkheadPolicy(),
}
LIMITED = POLICIES | {"timelimiter": TimeLimiterPolicy()}


def call() -> int:
    return 1


async def acall() -> int:
    return 1


def all_parts(policies: dict[str, Any]) -> Resilience:
    return Resilience(policies={family: {"default": policy} for family, policy in policies.items()})


def in_a_fleet() -> CircuitBreaker:
    fleet = Fleet(lambda _: (), Report(lambda *_: None, Who("bench", "bench-1")))
    fleet.report.start()
    return fleet.breaker("service", CircuitBreakerPolicy())


def failing_now_and_then() -> CircuitBreaker:
    """Of a window of time that has a failure."""
    policy = CircuitBreakerPolicy(sliding_window_type=WindowType.TIME_BASED, sliding_window_size=3_600)
    breaker = CircuitBreaker("service", policy)
    breaker.error(1, OSError())
    return breaker


def listened_to() -> CircuitBreaker:
    breaker = CircuitBreaker("service")
    breaker.on_event(lambda _: None)
    return breaker


def contenders() -> dict[str, Callable[[], object]]:
    sync = purgatory.SyncCircuitBreakerFactory()
    return {
        PLAIN: call,
        "breaker": CircuitBreaker("service")(call),
        "breaker in a fleet, reporting": in_a_fleet()(call),
        "breaker, failures in a window of time": failing_now_and_then()(call),
        "breaker, every event heard": listened_to()(call),
        "retry": Retry("service")(call),
        "retry, breaker, rate limiter, bulkhead": all_parts(POLICIES)("service")(call),
        "the same and a time limiter": all_parts(LIMITED)("service")(call),
        "purgatory (breaker)": sync("service")(call),
        "pybreaker (breaker)": pybreaker.CircuitBreaker()(call),
        "stamina (retry)": stamina.retry(on=OSError)(call),
        "tenacity (retry)": tenacity.retry(call),
    }


def async_contenders() -> dict[str, Callable[[], Awaitable[object]]]:
    factory = purgatory.AsyncCircuitBreakerFactory()
    return {
        PLAIN: acall,
        "breaker": CircuitBreaker("service")(acall),
        "breaker in a fleet, reporting": in_a_fleet()(acall),
        "retry": Retry("service")(acall),
        "retry, breaker, rate limiter, bulkhead": all_parts(POLICIES)("service")(acall),
        "the same and a time limiter": all_parts(LIMITED)("service")(acall),
        "purgatory (breaker)": factory("service")(acall),
        "stamina (retry)": stamina.retry(on=OSError)(acall),
        "tenacity (retry)": tenacity.retry(acall),
    }


def timed(fn: Callable[[], object], calls: int) -> float:
    """us of all threads a call."""
    steps = range(calls)
    began = process_time_ns()
    for _ in steps:
        fn()
    return (process_time_ns() - began) / 1_000 / calls


async def atimed(fn: Callable[[], Awaitable[object]], calls: int) -> float:
    steps = range(calls)
    began = process_time_ns()
    for _ in steps:
        await fn()
    return (process_time_ns() - began) / 1_000 / calls


def calls_of(name: str) -> int:
    """Fewer of what takes a thread."""
    return CALLS // 20 if "time limiter" in name else CALLS


async def rounds(count: int) -> dict[str, dict[str, list[float]]]:
    plain, coroutines = contenders(), async_contenders()
    found: dict[str, dict[str, list[float]]] = {"def": {}, "async def": {}}
    gc.disable()
    for at in range(count + 1):
        gc.collect()
        told = {name: timed(fn, calls_of(name)) for name, fn in plain.items()}
        atold = {name: await atimed(fn, calls_of(name)) for name, fn in coroutines.items()}
        for form, of in (("def", told), ("async def", atold)):
            for name, us in of.items() if at else ():  # the first round warms up
                found[form].setdefault(name, []).append(us if name == PLAIN else us - of[PLAIN])
    return found


if __name__ == "__main__":
    said = {"rounds": asyncio.run(rounds(int(sys.argv[1]))), "versions": {name: version(name) for name in PACKAGES}}
    sys.stdout.buffer.write(msgspec.json.encode(said | {"python": sys.version.split()[0]}))
