"""The breaker of a service, folded from the outcomes of calls that others made (Resilience4j 2.4).

It sees no request for permission, so OPEN ends with the first call that ends after the wait, and
who may probe in HALF_OPEN is for the callers to keep.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from .breaker import Policy
from .calls import BreakerState, CallOutcome, Sighting, State, Transition
from .errors import PassedOver
from .window import FAILED, NEVER, SLOW, Window, shown, single


class Breaker(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`until_at` ends OPEN or HALF_OPEN, 0: nothing does; `timed`: at that instant, without a call."""

    state: State = State.CLOSED
    since_at: int = 0
    until_at: int = 0
    timed: bool = False
    window: Window = Window()
    not_permitted: int = 0
    first_failure: Sighting = Sighting()  # since the window was last without one
    last_failure: Sighting = Sighting()
    seq: int = 0


class Verdict(NamedTuple):
    to: State
    cause: str


class Change(NamedTuple):
    transition: Transition
    state: BreakerState


Decision = tuple[Breaker | None, tuple[Change, ...]]


def due(breaker: Breaker) -> int | None:
    return breaker.until_at if breaker.timed else None


def decide(breaker: Breaker | None, call: CallOutcome, at_ms: int, policy: Policy) -> Decision:
    """Fold one outcome into the breaker. Raises PassedOver for what is not counted."""
    if call.counts is not None:
        raise PassedOver("folded-counts")
    match call.outcome:
        case "success" | "failure" | "timeout":
            return _judge(breaker or Breaker(since_at=at_ms), call, at_ms, policy)
        case "rejected":
            breaker = breaker or Breaker(since_at=at_ms)
            return msgspec.structs.replace(breaker, not_permitted=breaker.not_permitted + 1), ()
        case "ignored":
            return breaker, ()
        case _:
            raise PassedOver("unknown-outcome")


def expire(breaker: Breaker | None, service: str, now_ms: int, policy: Policy) -> Decision:
    """What a timer does: OPEN ends by itself, or HALF_OPEN has waited long enough for its probes."""
    if breaker is None or not breaker.timed or now_ms < breaker.until_at:
        return breaker, ()
    to = State.HALF_OPEN if breaker.state is State.OPEN else State(policy.transition_to_state_after_wait_duration)
    breaker, change = _enter(breaker, Verdict(to, "wait"), service, now_ms, policy)
    return breaker, (change,)


def _judge(breaker: Breaker, call: CallOutcome, at_ms: int, policy: Policy) -> Decision:
    changes: tuple[Change, ...] = ()
    if breaker.state is State.OPEN and at_ms > breaker.until_at:
        breaker, change = _enter(breaker, Verdict(State.HALF_OPEN, "wait"), call.service, at_ms, policy)
        changes = (change,)
    breaker = _record(breaker, call, at_ms, policy)
    verdict = _verdict(breaker, policy)
    if verdict:
        breaker, change = _enter(breaker, verdict, call.service, at_ms, policy)
        changes += (change,)
    return breaker, changes


def _record(breaker: Breaker, call: CallOutcome, at_ms: int, policy: Policy) -> Breaker:
    failed = call.outcome != "success"
    slow = (call.duration_ms or 0) > policy.slow_call_duration_threshold_ms
    window = breaker.window.add(failed * FAILED | slow * SLOW, _size(breaker, policy))
    first, last = breaker.first_failure, breaker.last_failure
    if failed:
        last = Sighting(
            at=at_ms,
            outcome=call.outcome,
            caller=call.caller,
            instance=call.instance,
            operation=call.operation,
            error=call.error,
        )
        first = last if window.failed == 1 else first
    elif not window.failed and breaker.window.failed:
        first = last = Sighting()
    return msgspec.structs.replace(breaker, window=window, first_failure=first, last_failure=last)


def _size(breaker: Breaker, policy: Policy) -> int:
    """OPEN keeps the window that it opened with, for calls that end late."""
    match breaker.state:
        case State.OPEN:
            return breaker.window.size or policy.sliding_window_size
        case State.HALF_OPEN:
            return policy.permitted_number_of_calls_in_half_open_state
        case _:
            return policy.sliding_window_size


def _verdict(breaker: Breaker, policy: Policy) -> Verdict | None:
    if breaker.state not in (State.CLOSED, State.HALF_OPEN):
        return None
    failure_rate, slow_call_rate = breaker.window.rates(policy.minimum_number_of_calls)
    if failure_rate == NEVER:
        return None
    failing = failure_rate >= single(policy.failure_rate_threshold)
    slow = slow_call_rate >= single(policy.slow_call_rate_threshold)
    if breaker.state is State.HALF_OPEN:
        return Verdict(State.OPEN if failing or slow else State.CLOSED, "trial")
    if failing or slow:
        return Verdict(State.OPEN, "failure-rate" if failing else "slow-call-rate")
    return None


def _enter(breaker: Breaker, verdict: Verdict, service: str, at_ms: int, policy: Policy) -> tuple[Breaker, Change]:
    to = verdict.to
    wait_ms, timed = _stay(to, policy)
    entered = Breaker(
        state=to, since_at=at_ms, until_at=at_ms + wait_ms if wait_ms else 0, timed=timed, seq=breaker.seq + 1
    )
    if to is State.OPEN:
        entered = msgspec.structs.replace(
            entered,
            window=breaker.window,
            not_permitted=breaker.not_permitted,
            first_failure=breaker.first_failure,
            last_failure=breaker.last_failure,
        )
    return entered, Change(
        _transition(breaker, entered, verdict.cause, service, policy), _published(entered, service, policy)
    )


def _stay(state: State, policy: Policy) -> tuple[int, bool]:
    """How long a state lasts (0: until calls end it), and whether a timer ends it."""
    match state:
        case State.OPEN:
            return policy.wait_duration_in_open_state_ms, policy.automatic_transition_from_open_to_half_open_enabled
        case State.HALF_OPEN:
            longest_ms = policy.max_wait_duration_in_half_open_state_ms
            return longest_ms, longest_ms > 0
        case _:
            return 0, False


def _transition(before: Breaker, after: Breaker, cause: str, service: str, policy: Policy) -> Transition:
    failure_rate, slow_call_rate = before.window.rates(policy.minimum_number_of_calls)
    return Transition(
        breaker=service,
        service=service,
        scope="service",
        from_=before.state,
        to=after.state,
        cause=cause,
        at=after.since_at,
        failure_rate=shown(failure_rate),
        slow_call_rate=shown(slow_call_rate),
        buffered_calls=before.window.buffered,
        failed_calls=before.window.failed,
        slow_calls=before.window.slow,
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
