"""What a circuit breaker is told of a call, and what it tells: CircuitBreakerEvent of Resilience4j 2.4."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from .breaker_policy import Verdict
from .calls import State
from .window import Window


class EventType(StrEnum):
    """Those of CircuitBreakerEvent; the last two are never published, as in Resilience4j: the change of state is."""

    SUCCESS = "SUCCESS"
    ERROR = "ERROR"
    IGNORED_ERROR = "IGNORED_ERROR"
    NOT_PERMITTED = "NOT_PERMITTED"
    STATE_TRANSITION = "STATE_TRANSITION"
    RESET = "RESET"
    FAILURE_RATE_EXCEEDED = "FAILURE_RATE_EXCEEDED"
    SLOW_CALL_RATE_EXCEEDED = "SLOW_CALL_RATE_EXCEEDED"
    FORCED_OPEN = "FORCED_OPEN"
    DISABLED = "DISABLED"


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How one call ended, as it was judged (`judge`); whether it was slow, the machine decides.

    `seq` is that of the breaker when the call was permitted, -1: not known. `opens_until`, transitionOnResult:
    a CLOSED breaker opens until then, whatever the rates.
    """

    duration_ms: float = 0
    verdict: Verdict = Verdict.SUCCESS
    error: str = ""
    seq: int = -1
    opens_until: int | None = None


class Change(msgspec.Struct, frozen=True, gc=False):
    """Of state. `window` is as it was when the state was left; `opens`, how often it opened in a row."""

    from_: State
    to: State
    cause: str  # failure-rate, slow-call-rate, wait, trial, act, result
    window: Window


class Event(msgspec.Struct, frozen=True, gc=False):
    """`duration_ms`, `error` and `late` (begun under another state) are of a call, `rate` of a rate exceeded."""

    type: EventType
    at: int
    duration_ms: float = 0
    error: str = ""
    late: bool = False
    rate: float = 0.0
    change: Change | None = None


class Metrics(msgspec.Struct, frozen=True, gc=False):
    """Rates are 32-bit floats in percent (`shown` writes them), -1 below the minimum number of calls."""

    buffered: int
    failed: int
    slow: int
    slow_failed: int
    not_permitted: int
    failure_rate: float
    slow_call_rate: float

    @property
    def successful(self) -> int:
        return self.buffered - self.failed
