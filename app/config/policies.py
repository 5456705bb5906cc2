"""Policies of breakers and retries, each field from the nearest entry that says it (`layers.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from app.config import layers
from app.config.bound import Bound
from app.config.errors import Problem
from app.config.layers import OF_THE_WAIT, WAIT, Instance, instance
from app.config.resilience import BREAKER, LONGEST_S, RETRY, USED
from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import State
from app.domain.breakers.scopes import Scopes, scope_of, service_of
from app.domain.breakers.window import WindowType
from app.domain.interval import Interval, exponential, fixed, randomized
from app.domain.retry import RetryPolicy

_USUAL = {name: value for name, value in msgspec.structs.asdict(Policy()).items() if name != "config_version"}
_NAMED = {field.encode_name.removesuffix("Ms"): field.name for field in msgspec.structs.fields(Policy)}


def breaker_policy(bound: Bound, breaker: str) -> Policy:
    """Of a service's breaker, or of one below it.

    Of a window that counts calls never more than it holds are waited for (CircuitBreakerConfig.Builder.build).
    """
    entries = instance(bound, BREAKER, breaker)
    said = _fields(entries)
    found = {_NAMED[name]: value for name, value in said.items() if name in _NAMED}
    found["initial_state"] = State(said["initialState"])
    found["sliding_window_type"] = WindowType(said["slidingWindowType"])
    if found["sliding_window_type"] is WindowType.COUNT_BASED:
        found["minimum_number_of_calls"] = min(found["minimum_number_of_calls"], found["sliding_window_size"])
    if interval := _interval(entries, said):
        del found["wait_duration_in_open_state_ms"]
        found["wait_interval_in_open_state"] = interval
    return versioned(Policy(**found))


def _interval(entries: Instance, said: Mapping[str, Any]) -> Interval | None:
    """None: it waits as long each time."""
    wait_ms = said[WAIT]
    if said["enableRandomizedWait"]:
        return randomized(fixed(wait_ms), said["randomizedWaitFactor"])
    if _grows(entries):
        longest_ms = said["exponentialMaxWaitDurationInOpenState"]
        return exponential(wait_ms, said["exponentialBackoffMultiplier"], longest_ms)
    return None


def breaker_scopes(bound: Bound, service: str) -> Scopes:
    kept = bound.get("iopt.breakers.*.scopes", service)
    named = (name for name in layers.named(bound, BREAKER) if service_of(name) == service and scope_of(name) in kept)
    return Scopes(kept, bound.get("iopt.breakers.*.most", service), tuple(named))


def retry_policy(bound: Bound, participant: str) -> RetryPolicy:
    entries = instance(bound, RETRY, participant)
    fields = _fields(entries)
    return RetryPolicy(
        max_attempts=fields["maxAttempts"],
        wait_ms=fields["waitDuration"],
        multiplier=fields["exponentialBackoffMultiplier"] if _grows(entries) else 1.0,
        max_wait_ms=fields["exponentialMaxWaitDuration"],
        randomized=fields["randomizedWaitFactor"] if fields["enableRandomizedWait"] else 0.0,
    )


def versioned(policy: Policy) -> Policy:
    """Its `config_version` is from 1 to 2^31 - 1, and the same wherever the policy is the same.

    Only what is no default counts: a field that is new changes no number.
    """
    said = {name: getattr(policy, name) for name, usual in _USUAL.items() if getattr(policy, name) != usual}
    drawn = int.from_bytes(blake2b(msgspec.json.encode(said, order="sorted"), digest_size=4).digest(), "big")
    return msgspec.structs.replace(policy, config_version=drawn % (2**31 - 1) + 1)


def problems(bound: Bound) -> Iterator[Problem]:
    yield from layers.problems(bound)
    for entry in layers.entries(bound, BREAKER):
        grows = layers.said(bound, BREAKER, entry, "enableExponentialBackoff")
        spread = layers.said(bound, BREAKER, entry, "enableRandomizedWait")
        if grows and spread and grows.value and spread.value:
            yield Problem(spread.origin, spread.name, "=true", "only one of it and enableExponentialBackoff")
    yield from dict.fromkeys(_too_long(bound))


def _too_long(bound: Bound) -> Iterator[Problem]:
    for breaker in ("", *dict.fromkeys(name for _, name in layers.entries(bound, BREAKER))):
        entries = instance(bound, BREAKER, breaker)
        size = entries.value("slidingWindowSize")
        if entries.value("slidingWindowType").value == "TIME_BASED" and size.value > LONGEST_S:
            yield Problem(size.origin, size.name, f"={size.text}", f"at most {LONGEST_S} seconds (TIME_BASED)")


def notices(bound: Bound) -> Iterator[str]:
    yield from _waits_without_one(bound)
    yield from dict.fromkeys(_of_no_breaker(bound))


def _waits_without_one(bound: Bound) -> Iterator[str]:
    """Where Resilience4j passes over what a user has meant, it is passed over here too."""
    for entry in layers.entries(bound, BREAKER):
        if not layers.said(bound, BREAKER, entry, WAIT):
            for field in OF_THE_WAIT:
                if value := layers.said(bound, BREAKER, entry, field):
                    yield f"{value.name}: without effect beside no {WAIT}, as in Resilience4j ({value.origin})"


def _of_no_breaker(bound: Bound) -> Iterator[str]:
    for (key, name), value in bound.values.items():
        if key.startswith(f"{BREAKER}.instances."):
            service, scope = service_of(name), scope_of(name)
            if scope not in breaker_scopes(bound, service).kept:
                entry = value.name.rpartition(".")[0]
                yield f"{entry}: no breaker, since iopt.breakers.{service}.scopes has no {scope} ({value.origin})"


def _fields(entries: Instance) -> dict[str, Any]:
    return {field: entries.value(field).value for field in USED[entries.family]}


def _grows(entries: Instance) -> bool:
    """An exponentialBackoffMultiplier says so too, unless enableExponentialBackoff denies it (contract 7)."""
    if entries.sets("enableExponentialBackoff"):
        return bool(entries.value("enableExponentialBackoff").value)
    return entries.sets("exponentialBackoffMultiplier")
