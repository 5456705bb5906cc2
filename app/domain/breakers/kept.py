"""One breaker of a service, folded from the outcomes of calls that others made (Resilience4j 2.4).

It sees no request for permission: after the wait, OPEN ends with the first call that ends or that was not permitted.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ..bounds import LONGEST_ERROR
from ..interval import MIDDLE, drawn
from . import breaker as machine
from .breaker import Breaker, Event, Metrics, Outcome, Policy, Verdict
from .calls import CallOutcome, Sighting, State
from .permits import Round

HALF_OPEN = State.HALF_OPEN
NOBODY = Sighting()
MOST = 2**53 - 1  # what a record says is beyond it is cut: a row that does not fit into 64 bits could not be stored


class Totals(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Since the breaker began, whatever its state: how many calls of each kind, and how long they took in all."""

    successful: int = 0
    successful_ms: int = 0
    failed: int = 0
    failed_ms: int = 0
    ignored: int = 0
    ignored_ms: int = 0
    not_permitted: int = 0


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A breaker, and who saw the first and the newest failure since its window was last without one.

    `used_at` is when a call was last reported; `changed_at` and `changed_seq` tell when its state last began
    (0: with the breaker), `slow_ms` and `permitted` what was last published of its policy. `round` may be left from an
    earlier HALF_OPEN.
    """

    breaker: Breaker = Breaker()
    first_failure: Sighting = NOBODY
    last_failure: Sighting = NOBODY
    totals: Totals = Totals()
    used_at: int = 0
    changed_at: int = 0
    changed_seq: int = 0
    slow_ms: int = 0
    permitted: int = 0
    round: Round | None = None

    @property
    def lent(self) -> Round | None:
        """Permits of this HALF_OPEN."""
        lent = self.round
        return lent if lent and self.breaker.state is HALF_OPEN and lent.seq >= self.changed_seq else None


class Call(NamedTuple):
    """How one call ended, or each of several: of those, `took_ms` is told for all together (`took`)."""

    failed: bool
    duration_ms: int
    error: str
    sighting: Sighting | None  # of a failure
    opens_until: int | None = None
    took_ms: int = 0


def metrics(kept: Kept, now_ms: int, policy: Policy) -> Metrics:
    """As of now; the counts of `totals` stand beside them."""
    return machine.metrics(kept.breaker, now_ms, policy)


def due(kept: Kept) -> int | None:
    """When a state ends without a call, or permits are lent again."""
    timed = machine.due(kept.breaker)
    if kept.round is None or kept.breaker.state is not HALF_OPEN:
        return timed
    return kept.round.over_at if timed is None else min(timed, kept.round.over_at)


def call_of(outcome: CallOutcome, at_ms: int) -> Call:
    """Of a success, a failure or a timeout."""
    failed = outcome.outcome != "success"
    seen = sighting(outcome, outcome.outcome, at_ms) if failed else None
    took_ms, until_at = outcome.duration_ms or 0, outcome.opens_until_at
    if until_at is not None:
        until_at = min(max(until_at, 1), MOST)  # 0 would be no end at all, and a timer needs an instant
    return Call(failed, took_ms, outcome.error or "", seen, until_at, took_ms)


def sighting(outcome: CallOutcome, kind: str | None, at_ms: int) -> Sighting:
    return Sighting(
        at=at_ms,
        outcome=kind,
        caller=outcome.caller,
        instance=outcome.instance,
        operation=outcome.operation,
        error=outcome.error and outcome.error[:LONGEST_ERROR],
    )


def published(kept: Kept, policy: Policy) -> bool:
    """Whether what is known of its policy still holds."""
    return (
        kept.slow_ms == policy.slow_call_duration_threshold_ms
        and kept.permitted == policy.permitted_number_of_calls_in_half_open_state
    )


def recorded(name: str, kept: Kept, call: Call, at_ms: int, policy: Policy) -> tuple[Kept, Breaker, tuple[Event, ...]]:
    """Before the change of state that the call brought about, if any: the breaker after it, and what it tells.

    The window of `kept` has the call; so has the evidence. Told are rates that were exceeded, and the change last.
    """
    before, window_before = kept.breaker, kept.breaker.window
    outcome = Outcome(call.duration_ms, Verdict(call.failed), call.error, -1, call.opens_until)
    after, events = machine.record(before, outcome, at_ms, policy, fraction(name, before, policy))
    told = events[1:]
    change = told[-1].change if told else None
    window = change.window if change else after.window
    first, last = kept.first_failure, kept.last_failure
    if call.failed:
        last = call.sighting or NOBODY
        first = last if window.failed == 1 else first
    elif window_before.failed and not window.failed:
        first = last = NOBODY
    totals = added(kept.totals, call, 1)
    kept = Kept(
        before if change else after,
        first,
        last,
        totals,
        at_ms,
        kept.changed_at,
        kept.changed_seq,
        kept.slow_ms,
        kept.permitted,
        kept.round,
    )
    return kept, after, told


def added(totals: Totals, call: Call, count: int) -> Totals:
    successful, successful_ms, failed, failed_ms = (
        totals.successful,
        totals.successful_ms,
        totals.failed,
        totals.failed_ms,
    )
    if call.failed:
        failed, failed_ms = failed + count, _sum(failed_ms, call.took_ms)
    else:
        successful, successful_ms = successful + count, _sum(successful_ms, call.took_ms)
    return Totals(successful, successful_ms, failed, failed_ms, totals.ignored, totals.ignored_ms, totals.not_permitted)


def took(kept: Kept, successful_ms: int, failed_ms: int) -> Kept:
    """With what folded calls took, which were counted before."""
    totals = msgspec.structs.replace(
        kept.totals,
        successful_ms=_sum(kept.totals.successful_ms, successful_ms),
        failed_ms=_sum(kept.totals.failed_ms, failed_ms),
    )
    return msgspec.structs.replace(kept, totals=totals)


def not_made(kept: Kept, rejected: int, ignored: int, ignored_ms: int, at_ms: int) -> Kept:
    """With calls that were not permitted, and with some that say nothing: neither judges."""
    totals, breaker = kept.totals, kept.breaker
    totals = msgspec.structs.replace(
        totals,
        ignored=totals.ignored + ignored,
        ignored_ms=_sum(totals.ignored_ms, ignored_ms),
        not_permitted=_sum(totals.not_permitted, rejected),
    )
    if rejected:
        breaker = msgspec.structs.replace(breaker, not_permitted=_sum(breaker.not_permitted, rejected))
    return msgspec.structs.replace(kept, breaker=breaker, totals=totals, used_at=at_ms)


def fraction(name: str, breaker: Breaker, policy: Policy) -> float:
    """The draw for the wait of the state to come."""
    interval = policy.wait_interval_in_open_state
    return drawn(f"{name}#{breaker.seq + 1}") if interval and interval.factor else MIDDLE


def _sum(total: int, more: int) -> int:
    return min(total + more, MOST)
