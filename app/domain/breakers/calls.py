"""What is said about calls and about the breakers that judge them: the messages of the breaker row."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from ..bounds import Name, Natural, Word


class State(StrEnum):
    """In the order of Resilience4j's numeric codes."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"
    DISABLED = "DISABLED"
    FORCED_OPEN = "FORCED_OPEN"
    METRICS_ONLY = "METRICS_ONLY"


class CallOutcome(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One call (`outcome`), or at most a second of calls (`counts`). `at` is evidence, never time.

    `took_ms` tells of each kind in `counts` how long its calls took in all. `client` is the process that reports,
    `opens_until_at` says that a CLOSED breaker is to open until then whatever its rates (transitionOnResult),
    `seen_seq` the newest state of the service's own breaker that was seen.
    """

    service: Name
    outcome: str | None = None
    counts: dict[str, Natural] | None = None
    took_ms: dict[str, Natural] | None = None
    caller: Word | None = None
    instance: Word | None = None
    operation: Word | None = None
    region: Word | None = None
    duration_ms: Natural | None = None
    error: str | None = None
    at: int | None = None
    slow_call_duration_ms: Natural | None = None
    from_at: int | None = None
    to_at: int | None = None
    seen_seq: int | None = None
    client: Word | None = None
    opens_until_at: int | None = None

    def __post_init__(self) -> None:
        if (self.outcome is None) == (self.counts is None):
            raise ValueError("expected either `outcome` or `counts`")


class BreakerAct(msgspec.Struct, frozen=True, kw_only=True):
    act_id: Name
    service: Name
    breaker: Name
    act: Literal["force-open", "close", "disable", "metrics-only", "reset"]
    reason: str
    actor: str
    at: int


class Sighting(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """Who saw a failure, and when it was recorded; empty where there was none. `error` is cut to 4,096 characters."""

    at: int | None = None
    outcome: str | None = None
    caller: str | None = None
    instance: str | None = None
    operation: str | None = None
    error: str | None = None


class Transition(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A change of state with its evidence. Rates are -1 below the minimum number of calls.

    From a state to itself: a reset, after its change of state if it was one, and in METRICS_ONLY a rate that was
    exceeded. `seq` is that of the state it led to, or in which it happened.
    """

    breaker: str
    service: str
    scope: str
    from_: State = msgspec.field(name="from")
    to: State
    cause: str  # failure-rate, slow-call-rate, wait, trial, act, result; reset
    at: int
    failure_rate: float
    slow_call_rate: float
    buffered_calls: int
    failed_calls: int
    slow_calls: int
    first_failure: Sighting
    last_failure: Sighting
    config_version: int
    seq: int

    @property
    def changes(self) -> bool:
        return self.from_ is not self.to

    @property
    def id(self) -> str:
        """One of its own for each of a breaker's."""
        return f"{self.breaker}#{self.seq}" if self.changes else f"{self.breaker}#{self.seq}:{self.cause}"


class BreakerState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The newest state, for clients and for every worker; an older `seq` is ignored.

    `permits`, by client: how many calls it may begin in HALF_OPEN before `permits_until_at` by its own clock; those of
    an older state are void.
    """

    breaker: str
    service: str
    scope: str
    state: State
    since_at: int
    until_at: int | None
    permits_half_open: int
    failure_rate: float
    slow_call_rate: float
    slow_call_duration_ms: int
    config_version: int
    seq: int
    at: int
    permits: dict[str, int] = {}
    permits_until_at: int | None = None
