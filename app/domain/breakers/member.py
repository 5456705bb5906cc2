"""One client's breaker in a fleet: what it decides by itself, and what it is told (contract 4.2).

Told nothing, or CLOSED, it is a breaker of its own, and may open early: a fault of the local network does not wait for
the fleet. That lasts until its own wait is over, or until a newer state is told. While the fleet says OPEN or
HALF_OPEN it is *led*: it neither ends OPEN nor decides HALF_OPEN, and makes only those trial calls that it has permits
for. A client that cannot hear the fleet is *alone*: it waits and tries as Resilience4j does, until it is *back*.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ..interval import MIDDLE
from . import breaker as machine
from .breaker import Breaker, Change, Event, EventType, Outcome, Policy, State, Verdict
from .window import FAILED, SLOW, CountWindow

FAR = 2**62  # an instant that does not come
LED = (State.OPEN, State.HALF_OPEN)


class Told(msgspec.Struct, frozen=True, gc=False):
    """The newest state of the fleet; `until_at` 0: nothing ends it. `permits` may be used before `permits_until_at`."""

    seq: int
    state: State
    since_at: int = 0
    until_at: int = 0
    permits: int = 0
    permits_until_at: int = 0


class Member(msgspec.Struct, frozen=True, gc=False):
    """`asked_at`: when a call was first refused that waits for the fleet, to end OPEN or to lend permits. 0: none."""

    breaker: Breaker
    told: Told | None = None
    led: bool = False
    asked_at: int = 0

    def seen_seq(self, seq: int = -1) -> int | None:
        """What a call had seen of the fleet that was permitted under that number: the newest state, or an older one."""
        if self.told is None:
            return None
        return self.told.seq - (seq not in (-1, self.breaker.seq))


Step = tuple[Member, tuple[Event, ...]]


def permit(member: Member, now_ms: int, policy: Policy) -> tuple[Member, bool, tuple[Event, ...]]:
    told, breaker = member.told, member.breaker
    if member.led and told and breaker.free and now_ms >= told.permits_until_at:
        breaker = replace(breaker, free=0)
    breaker, permitted, events = machine.permit(breaker, now_ms, policy)
    after = _with(member, breaker)
    if after.led and told and not permitted and not member.asked_at and now_ms > told.until_at:
        after = replace(after, asked_at=now_ms)
    return after, permitted, events


def record(member: Member, outcome: Outcome, now_ms: int, policy: Policy, fraction: float = MIDDLE) -> Step:
    """An ignored call gives its permit back only to the state that it came from."""
    breaker = member.breaker
    late = outcome.seq not in (-1, breaker.seq)
    if late and outcome.verdict is Verdict.IGNORED:
        return member, (Event(EventType.IGNORED_ERROR, now_ms, outcome.duration_ms, outcome.error, late),)
    if not member.led or breaker.state is not State.HALF_OPEN or outcome.verdict is Verdict.IGNORED:
        breaker, events = machine.record(breaker, outcome, now_ms, policy, fraction)
        return _with(member, breaker), events
    kind = EventType.ERROR if outcome.verdict else EventType.SUCCESS
    if not late:
        slow = SLOW * (outcome.duration_ms > policy.slow_call_duration_threshold_ms)
        window = breaker.window.add(FAILED * outcome.verdict | slow, now_ms, breaker.window.size)
        breaker = replace(breaker, window=window)
    return _with(member, breaker), (Event(kind, now_ms, outcome.duration_ms, outcome.error, late),)


def release(member: Member, seq: int = -1) -> Member:
    """`seq`: of the breaker when the permit was given, -1: not known."""
    if seq not in (-1, member.breaker.seq):
        return member
    return _with(member, machine.release(member.breaker))


def due(member: Member) -> int | None:
    return machine.due(member.breaker)


def expire(member: Member, now_ms: int, policy: Policy, fraction: float = MIDDLE) -> Step:
    breaker, events = machine.expire(member.breaker, now_ms, policy, fraction)
    return _with(member, breaker), events


def by_hand(member: Member, step: machine.Step) -> Step:
    """What was done by hand counts until the fleet says something newer."""
    breaker, events = step
    return Member(breaker, member.told), events


def adopt(member: Member, told: Told, now_ms: int, policy: Policy) -> Step:
    """An older state, and the same one again, change nothing."""
    if member.told and told.seq <= member.told.seq:
        return member, ()
    return _follow(member, told, told.permits, now_ms, policy)


def forget(member: Member, now_ms: int, policy: Policy) -> Step:
    """The fleet has no such breaker any more: CLOSED, and any state that comes is a newer one."""
    after, events = _follow(member, Told(-1, State.CLOSED), 0, now_ms, policy)
    return Member(after.breaker), events


def alone(member: Member, now_ms: int, policy: Policy, fraction: float = MIDDLE) -> Step:
    """The fleet has not been heard for too long: OPEN ends as it said, HALF_OPEN begins anew with trials of its own."""
    breaker, told = member.breaker, member.told
    if not member.led or told is None:
        return member, ()
    if breaker.state is State.HALF_OPEN:
        begun, _ = machine.move(breaker, State.HALF_OPEN, now_ms, policy)
        return Member(begun, told), ()
    wait_ms = policy.open_wait_ms(max(breaker.opens, 1), fraction)
    timed = policy.automatic_transition_from_open_to_half_open_enabled
    return Member(replace(breaker, until_at=told.until_at or now_ms + wait_ms, timed=timed), told), ()


def back(member: Member, now_ms: int, policy: Policy) -> Step:
    """The fleet is heard again, and says what it said last; permits that were given then are not given again."""
    if member.told is None or member.led or member.told.state not in LED:
        return member, ()
    return _follow(member, member.told, 0, now_ms, policy)


def forked(member: Member, now_ms: int, policy: Policy) -> Member:
    """In a process that began as the copy of another: permits and trial calls are of the one that was copied."""
    breaker = member.breaker
    if breaker.state is not State.HALF_OPEN:
        return replace(member, asked_at=0)
    if member.led:
        return replace(member, breaker=replace(breaker, free=0, seq=breaker.seq + 1), asked_at=0)
    begun, _ = machine.move(breaker, State.HALF_OPEN, now_ms, policy)
    return Member(begun, member.told)


def retry_after_ms(member: Member, now_ms: int) -> int | None:
    """When a call may be permitted again, as far as anybody knows; in HALF_OPEN that is when others end."""
    until_at = member.told.until_at if member.led and member.told else member.breaker.until_at
    if member.breaker.state is not State.OPEN or not until_at:
        return None
    return max(0, until_at + 1 - now_ms)


def _follow(member: Member, told: Told, permits: int, now_ms: int, policy: Policy) -> Step:
    before = member.breaker
    match told.state:
        case State.OPEN:
            after = Breaker(
                State.OPEN,
                now_ms,
                FAR,
                window=before.window,
                not_permitted=before.not_permitted,
                opens=before.opens + (before.state is not State.OPEN),
                seq=before.seq + 1,
            )
        case State.HALF_OPEN:
            after = _trying(before, permits, now_ms, policy, anew=not member.led)
        case before.state:
            after = before
        case to:
            after, _ = machine.move(before, to, now_ms, policy)
    led = told.state in LED
    if before.state is after.state:
        return Member(after, told, led), ()
    change = Change(before.state, after.state, "fleet", before.window)
    return Member(after, told, led), (Event(EventType.STATE_TRANSITION, now_ms, change=change),)


def _trying(before: Breaker, permits: int, now_ms: int, policy: Policy, *, anew: bool) -> Breaker:
    if before.state is State.HALF_OPEN and not anew:
        return replace(before, free=permits, seq=before.seq + 1)
    window = CountWindow(policy.permitted_number_of_calls_in_half_open_state)
    return Breaker(State.HALF_OPEN, now_ms, window=window, free=permits, opens=before.opens, seq=before.seq + 1)


def _with(member: Member, breaker: Breaker) -> Member:
    """Whatever moves a member on by itself ends being led: the fleet tells every change of those states."""
    led = member.led and breaker.state is member.breaker.state
    return Member(breaker, member.told, led, member.asked_at if led else 0)
