"""One circuit breaker: CircuitBreakerStateMachine of Resilience4j 2.4, without clock, threads and dice.

What a breaker is told (a request for permission, an outcome, a timer, an act) gives its next state, and the
events that Resilience4j would publish. Instants are ms since the epoch.
"""

from __future__ import annotations

import msgspec

from ..interval import MIDDLE
from .breaker_events import Change, Event, EventType, Metrics, Outcome
from .breaker_policy import Policy, Verdict, judge
from .calls import State
from .window import FAILED, SLOW, CountWindow, TimeWindow, Window, WindowType, percent, single

__all__ = [
    "Breaker",
    "Change",
    "Event",
    "EventType",
    "Metrics",
    "NoSuchChange",
    "Outcome",
    "Policy",
    "State",
    "Verdict",
    "begun",
    "due",
    "expire",
    "judge",
    "metrics",
    "move",
    "open_until",
    "permit",
    "record",
    "release",
    "reset",
]

# An enum's member is looked up anew wherever it is named: these are named with every call.
CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN
DISABLED, FORCED_OPEN, METRICS_ONLY = State.DISABLED, State.FORCED_OPEN, State.METRICS_ONLY
IGNORED = Verdict.IGNORED

_EMPTY: dict[WindowType, Window] = {window.type: window for window in (CountWindow(), TimeWindow())}
_REFUSED = {(CLOSED, HALF_OPEN), (METRICS_ONLY, OPEN), (METRICS_ONLY, HALF_OPEN)}
_ENDED = (EventType.SUCCESS, EventType.ERROR, EventType.IGNORED_ERROR)  # by Verdict


class Breaker(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`begun` makes one. It is stored, and rewritten with every call: fields are only appended.

    `until_at` ends OPEN or HALF_OPEN, 0: nothing does; `timed`: at that instant, without a call.
    `free` are the permits left in HALF_OPEN. `opens`: how often it opened in a row. `told`: which rates
    METRICS_ONLY has published as exceeded, FAILED | SLOW. `seq` numbers the states.
    """

    state: State = State.CLOSED
    since_at: int = 0
    until_at: int = 0
    timed: bool = False
    window: Window = CountWindow()
    not_permitted: int = 0
    free: int = 0
    opens: int = 0
    told: int = 0
    seq: int = 0


class NoSuchChange(ValueError):
    """CLOSED does not become HALF_OPEN by hand, nor METRICS_ONLY OPEN or HALF_OPEN."""


Step = tuple[Breaker, tuple[Event, ...]]


def begun(policy: Policy, now_ms: int, fraction: float = MIDDLE) -> Breaker:
    """In its initial state: to begin OPEN, HALF_OPEN or FORCED_OPEN is to have opened once."""
    to = State(policy.initial_state)
    return _entered(Breaker(opens=int(to is HALF_OPEN), seq=-1), to, now_ms, policy, fraction)


def permit(breaker: Breaker, now_ms: int, policy: Policy) -> tuple[Breaker, bool, tuple[Event, ...]]:
    """Whether a call may be made. Each one that may be ends in `record` or `release`."""
    state = breaker.state
    events: tuple[Event, ...] = ()
    if state is CLOSED or state is DISABLED or state is METRICS_ONLY:
        return breaker, True, ()
    if state is OPEN and now_ms > breaker.until_at:
        breaker, events = _change(breaker, _half_open(breaker, now_ms, policy), "wait")
    if breaker.free > 0:
        return msgspec.structs.replace(breaker, free=breaker.free - 1), True, events
    breaker = msgspec.structs.replace(breaker, not_permitted=breaker.not_permitted + 1)
    return breaker, False, () if state is FORCED_OPEN else (Event(EventType.NOT_PERMITTED, now_ms),)


def record(breaker: Breaker, outcome: Outcome, now_ms: int, policy: Policy, fraction: float = MIDDLE) -> Step:
    """With the outcome of a call, in the state that it has by then.

    `fraction` is the draw for a randomized wait in OPEN, as in `Interval.wait_ms`. A policy with another size
    goes on with the newest calls; one with another type of window begins an empty one. HALF_OPEN, and OPEN for
    what comes late, keep the window with which they began.
    """
    state, window = breaker.state, breaker.window
    if state is CLOSED and window.type == policy.sliding_window_type:
        size = policy.sliding_window_size
    elif state is DISABLED or state is FORCED_OPEN:
        return breaker, ()
    else:
        window, size = _sized(breaker, policy)
    verdict, duration_ms = outcome.verdict, outcome.duration_ms
    late = outcome.seq != breaker.seq and outcome.seq >= 0
    event = Event(_ENDED[verdict], now_ms, duration_ms, outcome.error, late)
    if verdict is IGNORED:
        return release(breaker), (event,)
    slow = SLOW if duration_ms > policy.slow_call_duration_threshold_ms else 0
    window = window.add(verdict | slow, now_ms, size)
    breaker = Breaker(
        state,
        breaker.since_at,
        breaker.until_at,
        breaker.timed,
        window,
        breaker.not_permitted,
        breaker.free,
        breaker.opens,
        breaker.told,
        breaker.seq,
    )
    if state is CLOSED and outcome.opens_until is None and _far_below(window, policy):
        return breaker, (event,)
    breaker, events = _weigh(breaker, now_ms, policy, fraction)
    if outcome.opens_until is not None and breaker.state is CLOSED and state is CLOSED:
        breaker, events = _change(breaker, _open(breaker, outcome.opens_until, now_ms, policy), "result")
    return breaker, (event, *events)


def release(breaker: Breaker) -> Breaker:
    """A permit that was given out is not used. Uncapped: one that was not given out makes one more."""
    if breaker.state is HALF_OPEN:
        return msgspec.structs.replace(breaker, free=breaker.free + 1)
    return breaker


def due(breaker: Breaker) -> int | None:
    """When `expire` is next needed."""
    return breaker.until_at if breaker.timed else None


def expire(breaker: Breaker, now_ms: int, policy: Policy, fraction: float = MIDDLE) -> Step:
    """What a timer does: OPEN ends by itself, or HALF_OPEN has waited long enough for its calls."""
    if not breaker.timed or now_ms < breaker.until_at:
        return breaker, ()
    to = HALF_OPEN if breaker.state is OPEN else State(policy.transition_to_state_after_wait_duration)
    return _change(breaker, _entered(breaker, to, now_ms, policy, fraction), "wait")


def move(breaker: Breaker, to: State, now_ms: int, policy: Policy, fraction: float = MIDDLE) -> Step:
    """By hand; to its own state, too, which begins anew. Raises NoSuchChange."""
    _allow(breaker.state, to)
    return _change(breaker, _entered(breaker, to, now_ms, policy, fraction), "act")


def open_until(breaker: Breaker, until_at: int, now_ms: int, policy: Policy) -> Step:
    """By hand, for a given time, which does not count as one opening more in a row. Raises NoSuchChange."""
    _allow(breaker.state, OPEN)
    return _change(breaker, _open(breaker, until_at, now_ms, policy), "act")


def reset(breaker: Breaker, now_ms: int, policy: Policy) -> Step:
    """To CLOSED, with an empty window and without the timer of the state that it leaves."""
    breaker, events = _change(breaker, _entered(breaker, CLOSED, now_ms, policy), "act")
    return breaker, (*events, Event(EventType.RESET, now_ms))


def metrics(breaker: Breaker, now_ms: int, policy: Policy) -> Metrics:
    """As of now: a time window has moved on since the last call."""
    window, size = _sized(breaker, policy)
    window = window.at(now_ms, size)
    return Metrics(
        window.buffered,
        window.failed,
        window.slow,
        window.slow_failed,
        breaker.not_permitted,
        *window.rates(policy.minimum_number_of_calls),
    )


def _sized(breaker: Breaker, policy: Policy) -> tuple[Window, int]:
    window = breaker.window
    if window.size and (breaker.state is OPEN or breaker.state is HALF_OPEN):
        return window, window.size
    if window.type != policy.sliding_window_type:
        window = _EMPTY[policy.sliding_window_type]
    return window, policy.sliding_window_size


def _weigh(breaker: Breaker, now_ms: int, policy: Policy, fraction: float) -> Step:
    exceeded = exceeding(breaker.window, policy)
    if exceeded is None or breaker.state is OPEN:
        return breaker, ()
    if breaker.state is HALF_OPEN:
        to = OPEN if exceeded else CLOSED
        return _change(breaker, _entered(breaker, to, now_ms, policy, fraction), "trial")
    news = exceeded & ~breaker.told
    if not news:
        return breaker, ()
    events = _news(breaker.window, news, now_ms)
    if breaker.state is METRICS_ONLY:
        return msgspec.structs.replace(breaker, told=breaker.told | news), events
    cause = "failure-rate" if exceeded & FAILED else "slow-call-rate"
    breaker, changes = _change(breaker, _entered(breaker, OPEN, now_ms, policy, fraction), cause)
    return breaker, events + changes


def exceeding(window: Window, policy: Policy) -> int | None:
    """Which rates have reached their thresholds, FAILED | SLOW; None below the minimum number of calls."""
    if not window.enough(policy.minimum_number_of_calls):
        return None
    failing = percent(window.failed, window.buffered) >= single(policy.failure_rate_threshold)
    slow = percent(window.slow, window.buffered) >= single(policy.slow_call_rate_threshold)
    return failing * FAILED | slow * SLOW


def _far_below(window: Window, policy: Policy) -> bool:
    """Below both thresholds by more than a 32-bit float rounds: it need not be made."""
    if not window.failed and not window.slow:
        return True
    nearly = window.buffered * 0.999
    failing, slow = policy.failure_rate_threshold, policy.slow_call_rate_threshold
    return window.failed * 100 < failing * nearly and window.slow * 100 < slow * nearly


def _news(window: Window, exceeded: int, now_ms: int) -> tuple[Event, ...]:
    rates = (
        (FAILED, EventType.FAILURE_RATE_EXCEEDED, window.failed),
        (SLOW, EventType.SLOW_CALL_RATE_EXCEEDED, window.slow),
    )
    return tuple(
        Event(kind, now_ms, rate=percent(part, window.buffered)) for flag, kind, part in rates if exceeded & flag
    )


def _allow(before: State, to: State) -> None:
    if (before, to) in _REFUSED:
        raise NoSuchChange(f"{before} does not become {to}")


def _change(before: Breaker, after: Breaker, cause: str) -> Step:
    """A state that begins anew is no change to tell of."""
    if before.state is after.state:
        return after, ()
    change = Change(before.state, after.state, cause, before.window)
    return after, (Event(EventType.STATE_TRANSITION, after.since_at, change=change),)


def _entered(before: Breaker, to: State, now_ms: int, policy: Policy, fraction: float = MIDDLE) -> Breaker:
    match to:
        case State.OPEN:
            opens = before.opens + 1
            opened = _open(before, now_ms + policy.open_wait_ms(opens, fraction), now_ms, policy)
            return msgspec.structs.replace(opened, opens=opens)
        case State.HALF_OPEN:
            return _half_open(before, now_ms, policy)
        case _:
            opens = before.opens + 1 if to is FORCED_OPEN else 0
            return Breaker(to, now_ms, opens=opens, seq=before.seq + 1)


def _open(before: Breaker, until_at: int, now_ms: int, policy: Policy) -> Breaker:
    """It goes on with the window that brought it about."""
    return Breaker(
        OPEN,
        now_ms,
        until_at,
        timed=policy.automatic_transition_from_open_to_half_open_enabled,
        window=before.window,
        not_permitted=before.not_permitted,
        opens=before.opens,
        seq=before.seq + 1,
    )


def _half_open(before: Breaker, now_ms: int, policy: Policy) -> Breaker:
    permitted, longest_ms = (
        policy.permitted_number_of_calls_in_half_open_state,
        policy.max_wait_duration_in_half_open_state_ms,
    )
    return Breaker(
        HALF_OPEN,
        now_ms,
        now_ms + longest_ms if longest_ms else 0,
        timed=longest_ms > 0,
        window=CountWindow(permitted),
        free=permitted,
        opens=before.opens,
        seq=before.seq + 1,
    )
