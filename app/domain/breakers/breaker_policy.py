"""How a circuit breaker judges: CircuitBreakerConfig of Resilience4j 2.4."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Annotated, Literal, TypeVar

import msgspec

from ..interval import MIDDLE, Interval, fixed
from ..setting import AtLeast0, AtLeast1, check_bounds, setting
from .calls import State
from .window import WindowType

E = TypeVar("E")
Percent = Annotated[float, msgspec.Meta(gt=0, le=100)]

DEFAULT_WAIT_MS = 60_000


class Verdict(IntEnum):
    SUCCESS = 0
    ERROR = 1
    IGNORED = 2


class Policy(msgspec.Struct, frozen=True, kw_only=True, rename=setting):
    """Under Resilience4j's names, with its defaults; durations in ms, but a TIME_BASED window's size in seconds.

    The wait in OPEN is `wait_duration_in_open_state_ms`, or an interval of how often it opened in a row; to say
    both is refused. Exceptions and results are listed by name: what is one of those listed, `is_a` says.
    """

    failure_rate_threshold: Percent = 50.0
    slow_call_rate_threshold: Percent = 100.0
    slow_call_duration_threshold_ms: AtLeast1 = 60_000
    sliding_window_type: WindowType = WindowType.COUNT_BASED
    sliding_window_size: AtLeast1 = 100
    minimum_number_of_calls: AtLeast1 = 100
    permitted_number_of_calls_in_half_open_state: AtLeast1 = 10
    wait_duration_in_open_state_ms: AtLeast1 = DEFAULT_WAIT_MS
    wait_interval_in_open_state: Interval | None = None
    automatic_transition_from_open_to_half_open_enabled: bool = False
    max_wait_duration_in_half_open_state_ms: AtLeast0 = 0  # 0: no limit
    transition_to_state_after_wait_duration: Literal["OPEN", "CLOSED"] = "OPEN"
    initial_state: State = State.CLOSED
    record_exceptions: tuple[str, ...] = ()  # empty: all
    ignore_exceptions: tuple[str, ...] = ()
    ignore_exceptions_precedence_enabled: bool = False  # changes nothing: what is ignored is never recorded
    record_results: tuple[str, ...] = ()
    config_version: int = 1

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.wait_interval_in_open_state and self.wait_duration_in_open_state_ms != DEFAULT_WAIT_MS:
            raise ValueError("expected either `waitDurationInOpenState` or `waitIntervalInOpenState`")

    def open_wait_ms(self, opens: int, fraction: float = MIDDLE) -> int:
        """How long it stays OPEN when it opened `opens` times in a row; `fraction` as in `Interval.wait_ms`."""
        interval = self.wait_interval_in_open_state or fixed(self.wait_duration_in_open_state_ms)
        return interval.wait_ms(opens, fraction)


def judge(error: E, policy: Policy, is_a: Callable[[E, str], bool]) -> Verdict:
    """`is_a(error, listed)`: whether it is the listed one, or a kind of it. What is not recorded is a success."""
    if any(is_a(error, listed) for listed in policy.ignore_exceptions):
        return Verdict.IGNORED
    recorded = policy.record_exceptions
    return Verdict(not recorded or any(is_a(error, listed) for listed in recorded))
