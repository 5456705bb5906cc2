"""How a circuit breaker judges: CircuitBreakerConfig of Resilience4j 2.4."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from .calls import Natural

Percent = Annotated[float, msgspec.Meta(gt=0, le=100)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


def _setting(field: str) -> str:
    """`wait_duration_in_open_state_ms` is `waitDurationInOpenState`."""
    first, *rest = field.removesuffix("_ms").split("_")
    return first + "".join(map(str.capitalize, rest))


class Policy(msgspec.Struct, frozen=True, kw_only=True, rename=_setting):
    """Under Resilience4j's names, with its defaults; durations in ms. The window is COUNT_BASED."""

    failure_rate_threshold: Percent = 50.0
    slow_call_rate_threshold: Percent = 100.0
    slow_call_duration_threshold_ms: Positive = 60_000
    sliding_window_size: Positive = 100
    minimum_number_of_calls: Positive = 100
    permitted_number_of_calls_in_half_open_state: Positive = 10
    wait_duration_in_open_state_ms: Positive = 60_000
    automatic_transition_from_open_to_half_open_enabled: bool = False
    max_wait_duration_in_half_open_state_ms: Natural = 0  # 0: no limit
    transition_to_state_after_wait_duration: Literal["OPEN", "CLOSED"] = "OPEN"
    config_version: int = 1
