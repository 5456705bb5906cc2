"""What is told of a breaker: each change of its state, what changed none, and its newest state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .breaker import Breaker, Change, Event, EventType, Policy
from .calls import BreakerState, Transition
from .scopes import scope_of, service_of
from .window import Window, shown

if TYPE_CHECKING:
    from .kept import Kept


STAYING = {
    EventType.RESET: "reset",
    EventType.FAILURE_RATE_EXCEEDED: "failure-rate",
    EventType.SLOW_CALL_RATE_EXCEEDED: "slow-call-rate",
}


class Gone(msgspec.Struct, frozen=True, gc=False):
    """There is no such breaker any more: its last state is deleted."""

    breaker: str


def transition(name: str, kept: Kept, event: Event, seq: int, policy: Policy) -> Transition:
    """Of that event. `kept` is as it was until then, `seq` that of the state to come."""
    change = event.change
    assert change
    window = change.window
    failure_rate, slow_call_rate = window.rates(policy.minimum_number_of_calls)
    return Transition(
        breaker=name,
        service=service_of(name),
        scope=scope_of(name),
        from_=change.from_,
        to=change.to,
        cause=change.cause,
        at=event.at,
        failure_rate=shown(failure_rate),
        slow_call_rate=shown(slow_call_rate),
        buffered_calls=window.buffered,
        failed_calls=window.failed,
        slow_calls=window.slow,
        first_failure=kept.first_failure,
        last_failure=kept.last_failure,
        config_version=policy.config_version,
        seq=seq,
    )


def staying(event: Event, after: Breaker, window: Window) -> Event:
    """One that changed no state, as if from that of `after` to itself. It happened in that window."""
    change = Change(after.state, after.state, STAYING[event.type], window)
    return msgspec.structs.replace(event, change=change)


def state(name: str, kept: Kept, at_ms: int, policy: Policy) -> BreakerState:
    breaker, lent = kept.breaker, kept.lent
    failure_rate, slow_call_rate = breaker.window.rates(policy.minimum_number_of_calls)
    return BreakerState(
        breaker=name,
        service=service_of(name),
        scope=scope_of(name),
        state=breaker.state,
        since_at=breaker.since_at,
        until_at=breaker.until_at or None,
        permits_half_open=policy.permitted_number_of_calls_in_half_open_state,
        failure_rate=shown(failure_rate),
        slow_call_rate=shown(slow_call_rate),
        slow_call_duration_ms=policy.slow_call_duration_threshold_ms,
        config_version=policy.config_version,
        seq=breaker.seq,
        at=at_ms,
        permits=lent.permits if lent else {},
        permits_until_at=lent.until_at if lent else None,
    )
