"""The time that one call may take: TimeLimiter of Resilience4j 2.4."""

from __future__ import annotations

import msgspec

from .setting import AtLeast1, check_bounds, setting


class TimeLimiterPolicy(msgspec.Struct, frozen=True, kw_only=True, rename=setting):
    """Under Resilience4j's names, with its defaults."""

    timeout_duration_ms: AtLeast1 = 1_000
    cancel_running_future: bool = True

    def __post_init__(self) -> None:
        check_bounds(self)
