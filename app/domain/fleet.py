"""The breakers of a service, all in one row (contract 4.2)."""

from __future__ import annotations

import msgspec

from . import kept as one
from .breaker import Policy
from .calls import CallOutcome
from .kept import Change, Kept, Totals, metrics

__all__ = ["Change", "Fleet", "Kept", "Totals", "decide", "due", "expire", "metrics"]


class Fleet(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """By full name: `payment-service`, `payment-service:op:charge` ..."""

    breakers: dict[str, Kept] = {}


Decision = tuple[Fleet | None, tuple[Change, ...]]


def due(fleet: Fleet) -> int | None:
    """The earliest of its breakers'."""
    return min((at for kept in fleet.breakers.values() if (at := one.due(kept)) is not None), default=None)


def decide(fleet: Fleet | None, call: CallOutcome, at_ms: int, policy: Policy) -> Decision:
    """Fold one outcome into the breakers. Raises PassedOver for what is not counted."""
    kept, changes = one.decide(fleet.breakers.get(call.service) if fleet else None, call, at_ms, policy)
    return _with(fleet, call.service, kept), changes


def expire(fleet: Fleet | None, service: str, now_ms: int, policy: Policy) -> Decision:
    kept, changes = one.expire(fleet.breakers.get(service) if fleet else None, service, now_ms, policy)
    return _with(fleet, service, kept), changes


def _with(fleet: Fleet | None, name: str, kept: Kept | None) -> Fleet | None:
    if kept is None:
        return fleet
    return Fleet({**(fleet.breakers if fleet else {}), name: kept})
