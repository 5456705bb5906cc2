"""Which settings there are, by family: the fields of the policies, and Resilience4j's switches beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..domain.breakers import breaker_policy
from ..domain.bulkhead import BulkheadPolicy, ThreadPoolBulkheadPolicy
from ..domain.interval import exponential, fixed, randomized
from ..domain.rate_limiter import RateLimiterPolicy
from ..domain.time_limiter import TimeLimiterPolicy
from .retry import RetryPolicy

Found = dict[str, Any]  # by Resilience4j's name; durations in the unit of the field

NAMELESS = {"configVersion", "waitIntervalInOpenState"}  # fields that no setting names
OF_SPRING = frozenset(
    {
        *("eventConsumerBufferSize", "writableStackTraceEnabled", "ignoreClassBindingExceptions"),
        *("registerHealthIndicator", "allowHealthIndicatorToFail", "subscribeForEvents", "contextPropagators", "tags"),
    }
)


class Setting(NamedTuple):
    """`unit` is ms, ns or nothing; `type` what msgspec converts to."""

    name: str
    type: Any
    unit: str = ""


class Family(NamedTuple):
    """`inherits`: `instances.default` speaks for all names. `finished` makes the policy's fields of what was found.

    `together`: settings that all come from the nearest entry that says the first of them.
    """

    name: str
    policy: type[msgspec.Struct]
    settings: tuple[Setting, ...]
    finished: Callable[[Found], Found]
    inherits: bool = True
    together: tuple[str, ...] = ()


def retry_fields(found: Found) -> Found:
    """A multiplier counts unless enableExponentialBackoff denies it."""
    grows = found.pop("enableExponentialBackoff", "exponentialBackoffMultiplier" in found)
    spread = found.pop("enableRandomizedWait", False)
    multiplier, factor = found.pop("exponentialBackoffMultiplier", 1.5), found.pop("randomizedWaitFactor", 0.5)
    if grows:
        found["exponentialBackoffMultiplier"] = multiplier
    if spread:
        found["randomizedWaitFactor"] = factor
    return found


def breaker_fields(found: Found) -> Found:
    """As CommonCircuitBreakerConfigurationProperties: the wait is one of fixed, growing, spread."""
    grows = found.pop("enableExponentialBackoff", "exponentialBackoffMultiplier" in found)
    spread = found.pop("enableRandomizedWait", False)
    multiplier, factor = found.pop("exponentialBackoffMultiplier", 1.5), found.pop("randomizedWaitFactor", 0.5)
    longest_ms = found.pop("exponentialMaxWaitDurationInOpenState", None)
    if grows and spread:
        raise ValueError("expected only one of enableRandomizedWait and enableExponentialBackoff")
    if grows or spread:
        wait_ms = found.pop("waitDurationInOpenState", breaker_policy.DEFAULT_WAIT_MS)
        found["waitIntervalInOpenState"] = (
            exponential(wait_ms, multiplier, longest_ms) if grows else randomized(fixed(wait_ms), factor)
        )
    if found.get("slidingWindowType", "COUNT_BASED") == "COUNT_BASED":
        usual = breaker_policy.Policy()
        size = found.get("slidingWindowSize", usual.sliding_window_size)
        found["minimumNumberOfCalls"] = min(found.get("minimumNumberOfCalls", usual.minimum_number_of_calls), size)
    return found


def as_found(found: Found) -> Found:
    return found


def settings_of(policy: type[msgspec.Struct], *beside: Setting) -> tuple[Setting, ...]:
    fields = msgspec.structs.fields(policy)
    own = (
        Setting(each.encode_name, each.type, _unit(each.name)) for each in fields if each.encode_name not in NAMELESS
    )
    return (*own, *beside)


def _unit(field: str) -> str:
    unit = field.rpartition("_")[2]
    return unit if unit in ("ms", "ns") else ""


_SWITCHES = (Setting("enableExponentialBackoff", bool), Setting("enableRandomizedWait", bool))
_WAITS = (
    *_SWITCHES,
    Setting("exponentialBackoffMultiplier", float),
    Setting("randomizedWaitFactor", float),
    Setting("exponentialMaxWaitDurationInOpenState", int, "ms"),
)

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("retry", RetryPolicy, settings_of(RetryPolicy, *_SWITCHES), retry_fields),
        Family(
            "circuitbreaker",
            breaker_policy.Policy,
            settings_of(breaker_policy.Policy, *_WAITS),
            breaker_fields,
            inherits=False,
            together=("waitDurationInOpenState", *(setting.name for setting in _WAITS)),
        ),
        Family("ratelimiter", RateLimiterPolicy, settings_of(RateLimiterPolicy), as_found),
        Family("timelimiter", TimeLimiterPolicy, settings_of(TimeLimiterPolicy), as_found),
        Family("bulkhead", BulkheadPolicy, settings_of(BulkheadPolicy), as_found),
        Family("thread-pool-bulkhead", ThreadPoolBulkheadPolicy, settings_of(ThreadPoolBulkheadPolicy), as_found),
    )
}
ASPECT_ORDERS = {
    "retry": "retryAspectOrder",
    "circuitbreaker": "circuitBreakerAspectOrder",
    "ratelimiter": "rateLimiterAspectOrder",
    "timelimiter": "timeLimiterAspectOrder",
    "bulkhead": "bulkheadAspectOrder",
}
