"""The breakers of a service, folded from what is said of calls to it (contract 4).

A call is one of the service, of an operation, of an instance and of a caller: each of them has a breaker, where the
settings say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from ..errors import Invalid, PassedOver
from . import folding
from . import kept as one
from .breaker import Breaker
from .calls import CallOutcome, State
from .fleet_state import Decision, Fleet, Roster, Terms, due
from .folding import Run
from .judging import Effect, Judging
from .kept import Kept, Totals, metrics
from .permits import noted
from .scopes import names_of, service_of

__all__ = ["Decision", "Effect", "Fleet", "Kept", "Terms", "Totals", "decide", "due", "expire", "metrics"]

OPEN, HALF_OPEN = State.OPEN, State.HALF_OPEN
SHUT = (OPEN, HALF_OPEN, State.FORCED_OPEN)
ENDED = ("success", "failure", "timeout")
NO_ROOM = "too-many-breakers"


class Said(NamedTuple):
    """Of calls: how those ended that were judged, and how many were not; what folded ones took in all."""

    runs: Sequence[Run]
    rejected: int = 0
    ignored: int = 0
    ignored_ms: int = 0
    successful_ms: int = 0
    failed_ms: int = 0


def decide(fleet: Fleet | None, call: CallOutcome, at_ms: int, now_ms: int, terms: Terms) -> Decision:
    """Fold one record. Raises PassedOver for what no breaker counts, and Invalid."""
    fleet = fleet or Fleet()
    service = call.service
    rejected = bool(call.outcome == "rejected" or (call.counts and call.counts.get("rejected")))
    if call.client:
        clients = noted(fleet.clients, call.client, call.caller, at_ms, rejected=rejected)
        fleet = fleet if clients is fleet.clients else replace(fleet, clients=clients)
    names = names_of(service, call.operation, call.instance, call.caller, terms.scopes[service].kept)
    if call.outcome in ENDED and (quick := _quick(fleet, names, call, at_ms, terms)):
        return quick, []
    _check(call)
    roster = Roster(fleet, service, at_ms, now_ms, terms)
    passed = [why for name in names if (why := _fold(roster, name, names, call))]
    if len(passed) == len(names) and not roster.effects:
        raise PassedOver(passed[0] if passed else "no-breaker")
    return roster.close(refused=passed.count(NO_ROOM)), roster.effects


def expire(fleet: Fleet | None, service: str, now_ms: int, terms: Terms) -> Decision:
    """What a timer does to each breaker whose time has come."""
    if fleet is None:
        return None, []
    roster = Roster(fleet, service, now_ms, now_ms, terms)
    for name, kept in tuple(roster.breakers.items()):
        due_at = one.due(kept)
        if due_at is not None and due_at <= now_ms and (judging := roster.judging(name)):
            judging.expire()
            roster.keep(judging)
    return roster.close(), roster.effects


def _quick(fleet: Fleet, names: Sequence[str], call: CallOutcome, at_ms: int, terms: Terms) -> Fleet | None:
    """What nearly all calls are: they change no state, and tell nobody anything."""
    if terms.scopes[call.service].kept != fleet.scopes:
        return None
    breakers, ended = dict(fleet.breakers), one.call_of(call, at_ms)
    for name in names:
        kept, policy = breakers.get(name), terms.policies[name]
        if kept is None or _waits(kept.breaker, at_ms) or not one.published(kept, policy):
            return None
        breakers[name], _, told = one.recorded(name, kept, ended, at_ms, policy)
        if told:
            return None
    return Fleet(breakers, fleet.scopes, fleet.clients, fleet.acts, fleet.seq, fleet.refused) if names else None


def _waits(breaker: Breaker, at_ms: int) -> bool:
    """For a call to try the service, or for its outcome."""
    state = breaker.state
    return state is HALF_OPEN or (state is OPEN and at_ms > breaker.until_at)


def _check(call: CallOutcome) -> None:
    if service_of(call.service) != call.service:
        raise Invalid(f"$.service: {call.service!r} is the name of a breaker, not of a service")
    if call.counts is not None:
        folding.check(call)
    elif call.outcome not in (*ENDED, "rejected", "ignored"):
        raise PassedOver("unknown-outcome")


def _fold(roster: Roster, name: str, names: Sequence[str], call: CallOutcome) -> str | None:
    """Why the breaker does not count it."""
    kept, seen_seq = roster.breakers.get(name), call.seen_seq if name == call.service else None
    if kept and call.counts is not None and folding.crosses(call, kept, seen_seq):
        return "crosses-change"
    shut = [each for each in names if each in roster.breakers and roster.breakers[each].breaker.state in SHUT]
    judging = roster.judging(name, names)
    if judging is None:
        return NO_ROOM
    _tell(judging, _said(call, judging), call, seen_seq, shut=not shut or name in shut)
    roster.keep(judging)
    return None


def _said(call: CallOutcome, judging: Judging) -> Said:
    counts, took_ms = call.counts, call.duration_ms or 0
    if counts is not None:
        runs = folding.runs(call, judging.at_ms, judging.policy)
        ignored_ms = (call.took_ms or {}).get("ignored", 0)
        return Said(runs, counts.get("rejected", 0), counts.get("ignored", 0), ignored_ms, *folding.took_ms(call))
    match call.outcome:
        case "rejected":
            return Said((), rejected=1)
        case "ignored":
            return Said((), ignored=1, ignored_ms=took_ms)
        case _:
            return Said((Run(one.call_of(call, judging.at_ms), 1),))


def _tell(judging: Judging, said: Said, call: CallOutcome, seen_seq: int | None, *, shut: bool) -> None:
    """A call that was not permitted was so by a breaker that was `shut`."""
    if not one.published(judging.kept, judging.policy):
        judging.renew()
    judging.record_all(said.runs, call.client, seen_seq)
    if said.successful_ms or said.failed_ms:
        judging.kept = one.took(judging.kept, said.successful_ms, said.failed_ms)
    rejected = said.rejected if shut else 0
    if rejected:
        judging.ask(seen_seq)
    if rejected or said.ignored:
        judging.kept = one.not_made(judging.kept, rejected, said.ignored, said.ignored_ms, judging.at_ms)
        judging.lend_again(call.client)
