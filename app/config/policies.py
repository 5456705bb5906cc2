"""Which entries of `resilience4j.*` speak of a service, in the order in which they win.

Breakers as Resilience4j's CommonCircuitBreakerConfigurationProperties has it: the instance, then the entry of `configs`
that its baseConfig names, else the one of its own name, else `configs.default`. Retries as contract 7 says:
`instances.default` comes between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import structs

from app.config import resilience
from app.config.binding import BY_NAME, Bound, default
from app.config.errors import Problem
from app.domain.breaker import Policy
from app.domain.retry import RetryPolicy

BREAKER = "resilience4j.circuitbreaker"
RETRY = "resilience4j.retry"
DEFAULT = "default"
FIELDS = {BREAKER: tuple(resilience.BREAKER), RETRY: tuple(resilience.RETRY)}

Layer = tuple[str, str]  # "instances" or "configs", and the name in it


def breaker_policy(bound: Bound, service: str) -> Policy:
    """Never more `minimumNumberOfCalls` than the window holds, as in Resilience4j's CircuitBreakerMetrics."""
    layers = [("instances", service), *_chain(bound, BREAKER, _first_config(bound, service))]
    found = _merged(bound, BREAKER, layers)
    found["minimumNumberOfCalls"] = min(found["minimumNumberOfCalls"], found["slidingWindowSize"])
    named = {field.encode_name.removesuffix("Ms"): field.name for field in structs.fields(Policy)}
    return Policy(**{named[name]: value for name, value in found.items() if name in named})


def retry_policy(bound: Bound, participant: str) -> RetryPolicy:
    layers = _retry_layers(bound, participant)
    fields = _merged(bound, RETRY, layers)
    grows = fields["enableExponentialBackoff"] or _is_set(bound, layers, "exponentialBackoffMultiplier")
    return RetryPolicy(
        max_attempts=fields["maxAttempts"],
        wait_ms=fields["waitDuration"],
        multiplier=fields["exponentialBackoffMultiplier"] if grows else 1.0,
        max_wait_ms=fields["exponentialMaxWaitDuration"],
        randomized=fields["randomizedWaitFactor"] if fields["enableRandomizedWait"] else 0.0,
    )


def problems(bound: Bound) -> Iterator[Problem]:
    """A baseConfig that names nothing, or itself in the end."""
    for family in (BREAKER, RETRY):
        for (key, name), value in bound.values.items():
            if key in (f"{family}.instances.*.baseConfig", f"{family}.configs.*.baseConfig"):
                if value.value not in bound.named(f"{family}.configs."):
                    yield Problem(value.origin, value.name, f"={value.text}: {family}.configs has no such entry")
                elif name in _bases(bound, family, value.value) and ".configs." in key:
                    yield Problem(value.origin, value.name, f"={value.text}: begins with itself in the end")


def _first_config(bound: Bound, service: str) -> str:
    base = bound.get(f"{BREAKER}.instances.*.baseConfig", service)
    return base or (service if service in bound.named(f"{BREAKER}.configs.") else DEFAULT)


def _retry_layers(bound: Bound, participant: str) -> list[Layer]:
    layers: list[Layer] = []
    for name in (participant, DEFAULT):
        layers.append(("instances", name))
        if base := bound.get(f"{RETRY}.instances.*.baseConfig", name):
            layers += _chain(bound, RETRY, base)
    return [*layers, *_chain(bound, RETRY, DEFAULT)]


def _chain(bound: Bound, family: str, config: str) -> list[Layer]:
    return [("configs", name) for name in _bases(bound, family, config)]


def _bases(bound: Bound, family: str, config: str | None) -> list[str]:
    """The entry of `configs`, what it begins with, and so on; each once."""
    found: list[str] = []
    while config and config not in found:
        found.append(config)
        config = bound.get(f"{family}.configs.*.baseConfig", config)
    return found


def _merged(bound: Bound, family: str, layers: list[Layer]) -> dict[str, Any]:
    fields = FIELDS[family]
    return {field: _nearest(bound, family, layers, field) for field in fields}


def _nearest(bound: Bound, family: str, layers: Iterable[Layer], field: str) -> Any:
    for group, name in layers:
        if (found := bound.values.get((f"{family}.{group}.*.{field}", name))) is not None:
            return found.value
    return default(BY_NAME[f"{family}.instances.*.{field}"])


def _is_set(bound: Bound, layers: Iterable[Layer], field: str) -> bool:
    return any((f"{RETRY}.{group}.*.{field}", name) in bound.values for group, name in layers)
