"""The breakers of a service: one for all its calls, others for those of an operation, instance or caller (4.2)."""

from __future__ import annotations

import re

from msgspec import Struct

SCOPES = ("service", "operation", "instance", "caller")

_BELOW = re.compile(r":(op|instance|from):")
_BY_WORD = {"op": "operation", "instance": "instance", "from": "caller"}


class Scopes(Struct, frozen=True, gc=False):
    """Of which scopes a service has breakers, and how many of them there may be at `most`."""

    kept: tuple[str, ...] = ("service",)
    most: int = 256


def service_of(breaker: str) -> str:
    """`payment-service:op:charge` is one of `payment-service`."""
    return _BELOW.split(breaker, maxsplit=1)[0]


def scope_of(breaker: str) -> str:
    """`payment-service:op:charge` is that of an `operation`."""
    found = _BELOW.search(breaker)
    return _BY_WORD[found[1]] if found else "service"
