"""What people do to breakers by hand: once each, and told in the audit whatever came of it (contract 2)."""

from __future__ import annotations

from ..audit import Audit
from ..errors import PassedOver
from .calls import BreakerAct
from .fleet_state import Decision, Fleet, Roster, Terms
from .judging import Judging
from .scopes import service_of

REMEMBERED = 64


def act(fleet: Fleet | None, told: BreakerAct, at_ms: int, now_ms: int, terms: Terms) -> Decision:
    """Raises PassedOver for an act that acted before."""
    if fleet and told.act_id in fleet.acts:
        raise PassedOver("repeated-act")
    given = fleet or Fleet()
    roster = Roster(given, told.service, at_ms, now_ms, terms)
    judging = _judging(roster, told, terms)
    if isinstance(judging, Judging):
        judging.act(told.act)
        roster.keep(judging)
    roster.effects.append(_audit(told, judging if isinstance(judging, str) else None, at_ms))
    if not roster.breakers and fleet is None:  # nothing to remember it by
        return None, roster.effects
    return roster.close(*(*given.acts, told.act_id)[-REMEMBERED:]), roster.effects


def _judging(roster: Roster, told: BreakerAct, terms: Terms) -> Judging | str:
    """The breaker that it is about, or why not."""
    name, service = told.breaker, told.service
    if service_of(name) != service:
        return f"{name} is no breaker of {service}"
    if name not in roster.breakers and name not in terms.scopes[service].named:
        return f"{service} has no breaker {name}, and the settings name none"
    return roster.judging(name, [name]) or f"{service} has {roster.most} breakers, and none of them can go"


def _audit(told: BreakerAct, why: str | None, at_ms: int) -> Audit:
    return Audit(
        act_id=told.act_id,
        actor=told.actor,
        claimed_actor=None,
        what=f"breaker.{told.act}",
        target=told.breaker,
        reason=told.reason,
        result="refused" if why else "applied",
        why=why,
        at=at_ms,
    )
