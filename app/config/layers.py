"""Which entries of `resilience4j.*` speak of a name, in the order in which they win.

As Resilience4j's Common*ConfigurationProperties 2.4 have it: the instance, then the entry of `configs` that its
baseConfig names and what that begins with, then `configs.default`. A breaker has `configs.default` only where no
baseConfig is named, and before it the entry of `configs` of its own name; it takes all that says its wait from one
entry. Retry and bulkhead have `instances.default` between (contract 7). A breaker below its service has the service's
entries after its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.config.bound import BY_NAME, DEFAULT_ORIGIN, Bound, Value, defaulted
from app.config.errors import Problem
from app.config.resilience import BREAKER, BULKHEAD, FAMILIES, RETRY
from app.domain.breakers.scopes import service_of

DEFAULT = "default"
WAIT = "waitDurationInOpenState"
OF_THE_WAIT = (
    "enableExponentialBackoff",
    "exponentialBackoffMultiplier",
    "exponentialMaxWaitDurationInOpenState",
    "enableRandomizedWait",
    "randomizedWaitFactor",
)

Layer = tuple[str, str]  # "instances" or "configs", and the name in it


@dataclass(frozen=True, slots=True)
class Instance:
    """What the entries say of a name."""

    bound: Bound
    family: str
    name: str
    layers: tuple[Layer, ...]

    def value(self, field: str) -> Value:
        """The one that counts, with its origin; else the default."""
        layers = self.layers
        if self.family == BREAKER and field in OF_THE_WAIT:
            layers = tuple(layer for layer in layers if said(self.bound, BREAKER, layer, WAIT))[:1]
        for layer in layers:
            if value := said(self.bound, self.family, layer, field):
                return value
        return defaulted(BY_NAME[f"{self.family}.instances.*.{field}"], self.name)

    def sets(self, field: str) -> bool:
        return self.value(field).origin != DEFAULT_ORIGIN


def instance(bound: Bound, family: str, name: str) -> Instance:
    return Instance(bound, family, name, tuple(_layers(bound, family, name)))


def _layers(bound: Bound, family: str, name: str) -> list[Layer]:
    if family == BREAKER:
        return _breaker(bound, name)
    found: list[Layer] = []
    for each in (name, DEFAULT) if family in (RETRY, BULKHEAD) else (name,):
        found += [("instances", each), *_chain(bound, family, _base(bound, family, each))]
    return [*found, *_chain(bound, family, DEFAULT)]


def named(bound: Bound, family: str) -> list[str]:
    return bound.named(f"{family}.instances.")


def problems(bound: Bound) -> Iterator[Problem]:
    """A baseConfig that names nothing, or itself in the end."""
    for family in FAMILIES:
        known = bound.named(f"{family}.configs.")
        for (key, name), value in bound.values.items():
            if key not in (f"{family}.instances.*.baseConfig", f"{family}.configs.*.baseConfig"):
                continue
            if value.value not in known:
                among = f"one of {family}.configs: {', '.join(known)}" if known else f"an entry of {family}.configs"
                yield Problem(value.origin, value.name, f"={value.text}", among)
            elif ".configs." in key and name in _bases(bound, family, value.value):
                yield Problem(value.origin, value.name, f"={value.text}: begins with itself in the end")


def entries(bound: Bound, family: str) -> list[Layer]:
    return [(group, name) for group in ("configs", "instances") for name in bound.named(f"{family}.{group}.")]


def said(bound: Bound, family: str, layer: Layer, field: str) -> Value | None:
    """What this entry itself says."""
    group, name = layer
    return bound.values.get((f"{family}.{group}.*.{field}", name))


def _breaker(bound: Bound, name: str) -> list[Layer]:
    service = service_of(name)
    base = _base(bound, BREAKER, name) or (name if name in bound.named(f"{BREAKER}.configs.") else None)
    own: list[Layer] = [("instances", name), *_chain(bound, BREAKER, base)]
    if service != name:
        return own + _breaker(bound, service)
    return own if base else own + _chain(bound, BREAKER, DEFAULT)


def _base(bound: Bound, family: str, name: str) -> str | None:
    base: str | None = bound.get(f"{family}.instances.*.baseConfig", name)
    return base


def _chain(bound: Bound, family: str, config: str | None) -> list[Layer]:
    return [("configs", name) for name in _bases(bound, family, config)]


def _bases(bound: Bound, family: str, config: str | None) -> list[str]:
    """The entry of `configs`, what it begins with, and so on; each once."""
    found: list[str] = []
    while config and config not in found:
        found.append(config)
        config = bound.get(f"{family}.configs.*.baseConfig", config)
    return found
