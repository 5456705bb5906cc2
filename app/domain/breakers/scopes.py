"""The breakers of a service: one for all its calls, others for those of an operation, instance or caller (4.2)."""

from __future__ import annotations

import re

from msgspec import Struct

SCOPES = ("service", "operation", "instance", "caller")

_SERVICE_ALONE = ("service",)
_BELOW = re.compile(r":(op|instance|from)(?::|\Z)")  # at the end too: a service `a:op` would have breakers of `a`
_BY_WORD = {"op": "operation", "instance": "instance", "from": "caller"}


class Scopes(Struct, frozen=True, gc=False):
    """Of which scopes a service has breakers, how many of them there may be at `most`, and which the settings name."""

    kept: tuple[str, ...] = ("service",)
    most: int = 256
    named: tuple[str, ...] = ()


def service_of(breaker: str) -> str:
    """`payment-service:op:charge` is one of `payment-service`."""
    return _BELOW.split(breaker, maxsplit=1)[0]


def scope_of(breaker: str) -> str:
    """`payment-service:op:charge` is that of an `operation`."""
    found = _BELOW.search(breaker)
    return _BY_WORD[found[1]] if found else "service"


def names_of(
    service: str, operation: str | None, instance: str | None, caller: str | None, kept: tuple[str, ...]
) -> tuple[str, ...]:
    """The breakers that a call is one of."""
    if kept == _SERVICE_ALONE:
        return (service,)
    found = {
        "service": service,
        "operation": operation and f"{service}:op:{operation}",
        "instance": instance and f"{service}:instance:{instance}",
        "caller": caller and f"{service}:from:{caller}",
    }
    return tuple(name for scope in kept if (name := found[scope]))
