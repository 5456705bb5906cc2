"""One breaker of a fleet, folded from the outcomes of calls that others made (Resilience4j 2.4).

It sees no request for permission, so OPEN ends with the first call that ends after the wait, and
who may probe in HALF_OPEN is for the callers to keep.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from . import breaker as machine
from .breaker import Breaker, Event, Metrics, Outcome, Policy, Verdict
from .calls import BreakerState, CallOutcome, Sighting, State, Transition
from .errors import PassedOver
from .interval import MIDDLE, drawn
from .window import Window, shown


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
    """A breaker, and who saw the first and the newest failure since its window was last without one."""

    breaker: Breaker = Breaker()
    first_failure: Sighting = Sighting()
    last_failure: Sighting = Sighting()
    totals: Totals = Totals()


class Change(NamedTuple):
    transition: Transition
    state: BreakerState


Decision = tuple[Kept | None, tuple[Change, ...]]


def metrics(kept: Kept, now_ms: int, policy: Policy) -> Metrics:
    """As of now; the counts of `totals` stand beside them."""
    return machine.metrics(kept.breaker, now_ms, policy)


def due(kept: Kept) -> int | None:
    return machine.due(kept.breaker)


def decide(kept: Kept | None, call: CallOutcome, at_ms: int, policy: Policy) -> Decision:
    """Fold one outcome into the breaker. Raises PassedOver for what is not counted."""
    if call.counts is not None:
        raise PassedOver("folded-counts")
    match call.outcome:
        case "success" | "failure" | "timeout":
            return _judge(kept or _begun(call.service, at_ms, policy), call, at_ms, policy)
        case "rejected":
            return _rejected(kept or _begun(call.service, at_ms, policy)), ()
        case "ignored":
            return kept, ()
        case _:
            raise PassedOver("unknown-outcome")


def expire(kept: Kept | None, service: str, now_ms: int, policy: Policy) -> Decision:
    """What a timer does: OPEN ends by itself, or HALF_OPEN has waited long enough for its probes."""
    if kept is None:
        return None, ()
    breaker, events = machine.expire(kept.breaker, now_ms, policy, _fraction(kept, service, policy))
    return _follow(kept, breaker, events, service, policy)


def _begun(service: str, at_ms: int, policy: Policy) -> Kept:
    return Kept(machine.begun(policy, at_ms, _fraction(Kept(), service, policy)))


def _fraction(kept: Kept, service: str, policy: Policy) -> float:
    """The draw for the wait of the state to come."""
    interval = policy.wait_interval_in_open_state
    return drawn(f"{service}#{kept.breaker.seq + 1}") if interval and interval.factor else MIDDLE


def _rejected(kept: Kept) -> Kept:
    breaker = kept.breaker
    refused = msgspec.structs.replace(breaker, not_permitted=breaker.not_permitted + 1)
    totals = msgspec.structs.replace(kept.totals, not_permitted=kept.totals.not_permitted + 1)
    return Kept(refused, kept.first_failure, kept.last_failure, totals)


def _judge(kept: Kept, call: CallOutcome, at_ms: int, policy: Policy) -> Decision:
    changes: tuple[Change, ...] = ()
    if kept.breaker.state is State.OPEN and at_ms > kept.breaker.until_at:
        breaker, _, events = machine.permit(kept.breaker, at_ms, policy)
        kept, changes = _follow(kept, breaker, events, call.service, policy)
    outcome = Outcome(call.duration_ms or 0, Verdict(call.outcome != "success"), call.error or "")
    fraction = _fraction(kept, call.service, policy)
    breaker, events = machine.record(kept.breaker, outcome, at_ms, policy, fraction)
    kept = _sight(_added(kept, call), _judged(breaker, events), call, at_ms)
    kept, more = _follow(kept, breaker, events, call.service, policy)
    return kept, changes + more


def _judged(breaker: Breaker, events: tuple[Event, ...]) -> Window:
    """The window with the newest call in it: a change of state may have emptied it."""
    return next((event.change.window for event in events if event.change), breaker.window)


def _added(kept: Kept, call: CallOutcome) -> Kept:
    totals, took_ms = kept.totals, call.duration_ms or 0
    if call.outcome == "success":
        n, ms = totals.successful + 1, totals.successful_ms + took_ms
        totals = msgspec.structs.replace(totals, successful=n, successful_ms=ms)
    else:
        totals = msgspec.structs.replace(totals, failed=totals.failed + 1, failed_ms=totals.failed_ms + took_ms)
    return Kept(kept.breaker, kept.first_failure, kept.last_failure, totals)


def _sight(kept: Kept, window: Window, call: CallOutcome, at_ms: int) -> Kept:
    first, last = kept.first_failure, kept.last_failure
    if call.outcome != "success":
        last = Sighting(
            at=at_ms,
            outcome=call.outcome,
            caller=call.caller,
            instance=call.instance,
            operation=call.operation,
            error=call.error,
        )
        first = last if window.failed == 1 else first
    elif not window.failed and kept.breaker.window.failed:
        first = last = Sighting()
    return Kept(kept.breaker, first, last, kept.totals)


def _follow(
    kept: Kept, breaker: Breaker, events: tuple[Event, ...], service: str, policy: Policy
) -> tuple[Kept, tuple[Change, ...]]:
    """To the state that those events lead to: only OPEN goes on with the failures that brought it about."""
    changes = tuple(
        Change(_transition(event, kept, breaker, service, policy), _published(breaker, service, policy))
        for event in events
        if event.change
    )
    if changes and breaker.state is not State.OPEN:
        return Kept(breaker, totals=kept.totals), changes
    return Kept(breaker, kept.first_failure, kept.last_failure, kept.totals), changes


def _transition(event: Event, before: Kept, after: Breaker, service: str, policy: Policy) -> Transition:
    assert event.change
    window = event.change.window
    failure_rate, slow_call_rate = window.rates(policy.minimum_number_of_calls)
    return Transition(
        breaker=service,
        service=service,
        scope="service",
        from_=event.change.from_,
        to=event.change.to,
        cause=event.change.cause,
        at=event.at,
        failure_rate=shown(failure_rate),
        slow_call_rate=shown(slow_call_rate),
        buffered_calls=window.buffered,
        failed_calls=window.failed,
        slow_calls=window.slow,
        first_failure=before.first_failure,
        last_failure=before.last_failure,
        config_version=policy.config_version,
        seq=after.seq,
    )


def _published(breaker: Breaker, service: str, policy: Policy) -> BreakerState:
    failure_rate, slow_call_rate = breaker.window.rates(policy.minimum_number_of_calls)
    return BreakerState(
        breaker=service,
        service=service,
        scope="service",
        state=breaker.state,
        since_at=breaker.since_at,
        until_at=breaker.until_at or None,
        permits_half_open=policy.permitted_number_of_calls_in_half_open_state,
        failure_rate=shown(failure_rate),
        slow_call_rate=shown(slow_call_rate),
        slow_call_duration_ms=policy.slow_call_duration_threshold_ms,
        config_version=policy.config_version,
        seq=breaker.seq,
        at=breaker.since_at,
    )
