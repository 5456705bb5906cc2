"""Successes that need not be judged one by one: those of a CLOSED breaker that none of them can open."""

from __future__ import annotations

import msgspec

from .breaker import CLOSED, Breaker
from .breaker_policy import Policy
from .window import CountWindow, TimeWindow, Window, WindowType

_SURELY = 0.999  # below a threshold by more than a 32-bit float rounds
_EMPTY: dict[WindowType, Window] = {WindowType.COUNT_BASED: CountWindow(), WindowType.TIME_BASED: TimeWindow()}


def calm(breaker: Breaker, policy: Policy) -> bool:
    """Whether successes, as many as come, change nothing but the window.

    In a window of calls they never raise a rate that says something already. In a window of time they may, since
    older successes leave it: there, and below the minimum of calls, no call may have failed or been slow.
    """
    window = breaker.window
    if breaker.state is not CLOSED:
        return False
    if not window.failed and not window.slow:
        return True
    if window.type != policy.sliding_window_type or type(window) is TimeWindow:
        return False
    surely = window.buffered * _SURELY
    return (
        window.size == policy.sliding_window_size
        and window.enough(policy.minimum_number_of_calls)
        and window.failed * 100 < policy.failure_rate_threshold * surely
        and window.slow * 100 < policy.slow_call_rate_threshold * surely
    )


def succeeded(breaker: Breaker, count: int, now_ms: int, policy: Policy) -> Breaker:
    """A calm breaker with so many more successes, none of them slow."""
    window = breaker.window
    if window.type != policy.sliding_window_type:
        window = _EMPTY[policy.sliding_window_type]
    return msgspec.structs.replace(breaker, window=window.add_successes(count, now_ms, policy.sliding_window_size))
