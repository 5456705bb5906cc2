"""Many calls in one record, counted as if each had come alone (contract 4.1)."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from msgspec.structs import replace

from ..errors import Invalid
from . import kept as one
from .breaker import Breaker, Policy, exceeding
from .calls import CallOutcome, State
from .kept import NOBODY, Call, Kept
from .window import BOTH, FAILED, SLOW, CountWindow, Window

LONGEST_MS = 1_000
MOST = 1_000

ORDER = ("failure", "slow_failure", "timeout", "slow_timeout", "success", "slow_success")
NOT_MADE = ("rejected", "ignored")
SUCCESSES = ("success", "slow_success")


class Run(NamedTuple):
    """That many calls, each ended like this."""

    call: Call
    times: int


def check(outcome: CallOutcome) -> None:
    """Raises Invalid, with the field."""
    counts = outcome.counts or {}
    made = sum(counts.get(kind, 0) for kind in (*ORDER, "ignored"))
    if made > MOST:
        raise Invalid(f"$.counts: {made} calls, expected at most {MOST}")
    if outcome.from_at is not None and outcome.to_at is not None:
        spans_ms = outcome.to_at - outcome.from_at
        if not 0 <= spans_ms <= LONGEST_MS:
            raise Invalid(f"$.to_at: {spans_ms} ms after from_at, expected 0 to {LONGEST_MS}")


def runs(outcome: CallOutcome, at_ms: int, policy: Policy) -> list[Run]:
    """In the order in which they count. Kinds that are not known are passed over, as unknown outcomes are.

    Calls are slow by the reporter's word, where that says it of all that are: what took longer than a shorter time
    than the policy's is not known to be slow.
    """
    limit_ms = policy.slow_call_duration_threshold_ms
    slow_ms = limit_ms + 1 if (outcome.slow_call_duration_ms or limit_ms) >= limit_ms else 0
    found: list[Run] = []
    for kind, count in ((kind, (outcome.counts or {}).get(kind, 0)) for kind in ORDER):
        if count:
            word = kind.removeprefix("slow_")
            failed = word != "success"
            seen = one.sighting(outcome, word, at_ms) if failed else None
            found.append(Run(Call(failed, slow_ms * (word != kind), outcome.error or "", seen), count))
    return found


def took_ms(outcome: CallOutcome) -> tuple[int, int]:
    """Of all successes, and of all that failed, as far as the reporter says it."""
    told = outcome.took_ms or {}
    successes = sum(told.get(kind, 0) for kind in SUCCESSES)
    return successes, sum(told.get(kind, 0) for kind in ORDER) - successes


def crosses(outcome: CallOutcome, kept: Kept, seen_seq: int | None) -> bool:
    """Whether some of the calls may be from before a change of state that the reporter had not seen."""
    if outcome.from_at is None or outcome.from_at >= kept.changed_at:
        return False
    return seen_seq is None or seen_seq < kept.changed_seq


def quiet(breaker: Breaker, call: Call, count: int, policy: Policy) -> int:
    """How many of as many more calls like the one that was recorded last surely change nothing but the window.

    Since all are alike, each rate only rises or only falls from one to the next: if it is below its threshold before
    the first and after the last, it is between them.
    """
    window = breaker.window
    if breaker.state not in (State.CLOSED, State.HALF_OPEN, State.METRICS_ONLY):
        return count
    if not window.size:  # it has not begun
        return 0
    minimum = policy.minimum_number_of_calls
    if not window.enough(minimum):
        least = min(minimum, window.size) if isinstance(window, CountWindow) else minimum
        return min(count, least - window.buffered - 1)
    flags = _flags(call, policy)

    def unmoved(more: int) -> bool:
        return not (exceeding(_more(window, flags, more), policy) or 0) & ~breaker.told

    if count and unmoved(count):
        return count
    return bisect_left(range(1, count + 1), True, key=lambda more: not unmoved(more))


def repeated(kept: Kept, call: Call, count: int, at_ms: int, policy: Policy) -> Kept:
    """With as many calls as `quiet` found: who saw them, the one before them has said."""
    breaker, before = kept.breaker, kept.breaker.window
    if breaker.state not in (State.DISABLED, State.FORCED_OPEN):
        breaker = replace(breaker, window=_more(before, _flags(call, policy), count))
    if not call.failed and before.failed and not breaker.window.failed:
        kept = replace(kept, first_failure=NOBODY, last_failure=NOBODY)
    totals = one.added(kept.totals, call, count)
    return replace(kept, breaker=breaker, totals=totals, used_at=at_ms)


def _flags(call: Call, policy: Policy) -> int:
    return call.failed * FAILED | (call.duration_ms > policy.slow_call_duration_threshold_ms) * SLOW


def _more(window: Window, flags: int, count: int) -> Window:
    """With as many more calls of the instant of its newest one."""
    if isinstance(window, CountWindow):
        calls = (window.calls + bytes([flags]) * count)[-window.size :]
        both = calls.count(BOTH)
        failed, slow = calls.count(FAILED) + both, calls.count(SLOW) + both
        return CountWindow(window.size, len(calls), failed, slow, both, calls)
    failed, slow, both = (flags & FAILED) * count, (flags >> 1) * count, (flags == BOTH) * count
    return replace(
        window,
        buffered=window.buffered + count,
        failed=window.failed + failed,
        slow=window.slow + slow,
        slow_failed=window.slow_failed + both,
        calls=window.calls + count,
        failed_calls=window.failed_calls + failed,
        slow_calls=window.slow_calls + slow,
        slow_failed_calls=window.slow_failed_calls + both,
    )
