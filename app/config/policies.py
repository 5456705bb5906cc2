"""Policies of breakers and retries, each field from the nearest entry that says it (`layers.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import msgspec

from app.config import layers
from app.config.bound import Bound
from app.config.errors import Problem
from app.config.layers import is_set, nearest
from app.config.resilience import BREAKER, RETRY, USED
from app.domain.breaker import Policy
from app.domain.retry import RetryPolicy
from app.domain.scopes import Scopes

NAMED = {field.encode_name.removesuffix("Ms"): field.name for field in msgspec.structs.fields(Policy)}


def breaker_policy(bound: Bound, breaker: str) -> Policy:
    """Of a service's breaker, or of one below it.

    Never more `minimumNumberOfCalls` than the window holds, as in Resilience4j's CircuitBreakerMetrics.
    """
    found = _fields(bound, BREAKER, breaker)
    found["minimumNumberOfCalls"] = min(found["minimumNumberOfCalls"], found["slidingWindowSize"])
    return versioned(Policy(**{NAMED[name]: value for name, value in found.items() if name in NAMED}))


def breaker_scopes(bound: Bound, service: str) -> Scopes:
    return Scopes(bound.get("iopt.breakers.*.scopes", service), bound.get("iopt.breakers.*.most", service))


def retry_policy(bound: Bound, participant: str) -> RetryPolicy:
    fields = _fields(bound, RETRY, participant)
    return RetryPolicy(
        max_attempts=fields["maxAttempts"],
        wait_ms=fields["waitDuration"],
        multiplier=fields["exponentialBackoffMultiplier"] if _grows(bound, RETRY, participant) else 1.0,
        max_wait_ms=fields["exponentialMaxWaitDuration"],
        randomized=fields["randomizedWaitFactor"] if fields["enableRandomizedWait"] else 0.0,
    )


def versioned(policy: Policy) -> Policy:
    """Its `config_version` is from 1 to 2^31 - 1, and the same wherever the policy is the same."""
    plain = msgspec.structs.replace(policy, config_version=0)
    drawn = int.from_bytes(blake2b(msgspec.json.encode(plain, order="sorted"), digest_size=4).digest(), "big")
    return msgspec.structs.replace(policy, config_version=drawn % (2**31 - 1) + 1)


def problems(bound: Bound) -> Iterator[Problem]:
    yield from layers.problems(bound)


def _fields(bound: Bound, family: str, name: str) -> dict[str, Any]:
    return {field: nearest(bound, family, name, field).value for field in USED[family]}


def _grows(bound: Bound, family: str, name: str) -> bool:
    """An exponentialBackoffMultiplier says so too, unless enableExponentialBackoff denies it (contract 7)."""
    if is_set(bound, family, name, "enableExponentialBackoff"):
        return bool(nearest(bound, family, name, "enableExponentialBackoff").value)
    return is_set(bound, family, name, "exponentialBackoffMultiplier")
