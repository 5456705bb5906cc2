"""Successes that need not be judged one by one: those of a CLOSED breaker that none of them can open."""

from __future__ import annotations

import msgspec

from .breaker import CLOSED, Breaker
from .breaker_policy import Policy
from .window import CountWindow, TimeWindow, Window, WindowType

MANY = 1 << 30

_SURELY = 0.999  # below a threshold by more than a 32-bit float rounds
_EMPTY: dict[WindowType, Window] = {WindowType.COUNT_BASED: CountWindow(), WindowType.TIME_BASED: TimeWindow()}


def calm(breaker: Breaker, policy: Policy, now_ms: int) -> int:
    """How many successes may come that change nothing but the window; see `by_second`.

    A success never raises a rate, but it may be the first to show one, and with each second older successes leave a
    window of time.
    """
    window, minimum = breaker.window, policy.minimum_number_of_calls
    if breaker.state is not CLOSED:
        return 0
    if not window.failed and not window.slow:
        return MANY
    size = policy.sliding_window_size
    if window.type != policy.sliding_window_type or window.size != size:
        return 0
    if not window.enough(minimum):
        least = minimum if type(window) is TimeWindow else min(minimum, size)
        return max(0, least - window.buffered - 1)
    if type(window) is TimeWindow and now_ms // 1000 != window.second:
        return 0
    surely = window.buffered * _SURELY
    failing, slow = policy.failure_rate_threshold, policy.slow_call_rate_threshold
    return MANY if window.failed * 100 < failing * surely and window.slow * 100 < slow * surely else 0


def by_second(breaker: Breaker) -> bool:
    """Whether `calm` holds only until the second is over."""
    window = breaker.window
    return type(window) is TimeWindow and bool(window.failed or window.slow)


def succeeded(breaker: Breaker, count: int, now_ms: int, policy: Policy) -> Breaker:
    """With so many more successes, none of them slow, as many as may come."""
    window = breaker.window
    if window.type != policy.sliding_window_type:
        window = _EMPTY[policy.sliding_window_type]
    return msgspec.structs.replace(breaker, window=window.add_successes(count, now_ms, policy.sliding_window_size))
