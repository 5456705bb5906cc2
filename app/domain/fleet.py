"""The breaker of a service, folded from the outcomes of calls that others made (Resilience4j 2.4).

It sees no request for permission, so OPEN ends with the first call that ends after the wait, and
who may probe in HALF_OPEN is for the callers to keep.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from . import breaker as machine
from .breaker import Breaker, Event, Outcome, Policy, Verdict
from .calls import BreakerState, CallOutcome, Sighting, State, Transition
from .errors import PassedOver
from .interval import MIDDLE, drawn
from .window import Window, shown


class Observed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A breaker, and who saw the first and the newest failure since its window was last without one."""

    breaker: Breaker = Breaker()
    first_failure: Sighting = Sighting()
    last_failure: Sighting = Sighting()


class Change(NamedTuple):
    transition: Transition
    state: BreakerState


Decision = tuple[Observed | None, tuple[Change, ...]]


def due(observed: Observed) -> int | None:
    return machine.due(observed.breaker)


def decide(observed: Observed | None, call: CallOutcome, at_ms: int, policy: Policy) -> Decision:
    """Fold one outcome into the breaker. Raises PassedOver for what is not counted."""
    if call.counts is not None:
        raise PassedOver("folded-counts")
    match call.outcome:
        case "success" | "failure" | "timeout":
            return _judge(observed or _begun(call.service, at_ms, policy), call, at_ms, policy)
        case "rejected":
            return _rejected(observed or _begun(call.service, at_ms, policy)), ()
        case "ignored":
            return observed, ()
        case _:
            raise PassedOver("unknown-outcome")


def expire(observed: Observed | None, service: str, now_ms: int, policy: Policy) -> Decision:
    """What a timer does: OPEN ends by itself, or HALF_OPEN has waited long enough for its probes."""
    if observed is None:
        return None, ()
    breaker, events = machine.expire(observed.breaker, now_ms, policy, _fraction(observed, service, policy))
    return _follow(observed, breaker, events, service, policy)


def _begun(service: str, at_ms: int, policy: Policy) -> Observed:
    return Observed(machine.begun(policy, at_ms, _fraction(Observed(), service, policy)))


def _fraction(observed: Observed, service: str, policy: Policy) -> float:
    """The draw for the wait of the state to come."""
    interval = policy.wait_interval_in_open_state
    return drawn(f"{service}#{observed.breaker.seq + 1}") if interval and interval.factor else MIDDLE


def _rejected(observed: Observed) -> Observed:
    breaker = observed.breaker
    refused = msgspec.structs.replace(breaker, not_permitted=breaker.not_permitted + 1)
    return Observed(refused, observed.first_failure, observed.last_failure)


def _judge(observed: Observed, call: CallOutcome, at_ms: int, policy: Policy) -> Decision:
    changes: tuple[Change, ...] = ()
    if observed.breaker.state is State.OPEN and at_ms > observed.breaker.until_at:
        breaker, _, events = machine.permit(observed.breaker, at_ms, policy)
        observed, changes = _follow(observed, breaker, events, call.service, policy)
    outcome = Outcome(call.duration_ms or 0, Verdict(call.outcome != "success"), call.error or "")
    fraction = _fraction(observed, call.service, policy)
    breaker, events = machine.record(observed.breaker, outcome, at_ms, policy, fraction)
    observed = _sight(observed, _judged(breaker, events), call, at_ms)
    observed, more = _follow(observed, breaker, events, call.service, policy)
    return observed, changes + more


def _judged(breaker: Breaker, events: tuple[Event, ...]) -> Window:
    """The window with the newest call in it: a change of state may have emptied it."""
    return next((event.change.window for event in events if event.change), breaker.window)


def _sight(observed: Observed, window: Window, call: CallOutcome, at_ms: int) -> Observed:
    first, last = observed.first_failure, observed.last_failure
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
    elif not window.failed and observed.breaker.window.failed:
        first = last = Sighting()
    return Observed(observed.breaker, first, last)


def _follow(
    observed: Observed, breaker: Breaker, events: tuple[Event, ...], service: str, policy: Policy
) -> tuple[Observed, tuple[Change, ...]]:
    """To the state that those events lead to: only OPEN goes on with the failures that brought it about."""
    changes = tuple(
        Change(_transition(event, observed, breaker, service, policy), _published(breaker, service, policy))
        for event in events
        if event.change
    )
    if changes and breaker.state is not State.OPEN:
        return Observed(breaker), changes
    return Observed(breaker, observed.first_failure, observed.last_failure), changes


def _transition(event: Event, before: Observed, after: Breaker, service: str, policy: Policy) -> Transition:
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
