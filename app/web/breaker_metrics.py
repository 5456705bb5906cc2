"""What Resilience4j's TaggedCircuitBreakerMetrics shows, of the breakers of this worker's own tasks."""

from __future__ import annotations

from app.domain.breakers.breaker import Breaker, Policy
from app.domain.breakers.calls import State
from app.domain.breakers.fleet import Kept, metrics
from app.domain.breakers.window import WindowType, shown
from app.telemetry.metrics import (
    BREAKER_STATES,
    R4J_BUFFERED,
    R4J_CALLS,
    R4J_FAILURE_RATE,
    R4J_MAX_BUFFERED,
    R4J_NOT_PERMITTED,
    R4J_SLOW,
    R4J_SLOW_CALL_RATE,
    R4J_STATE,
)

from .breakers import own_breakers
from .service import NotNow, Service

FAILED, SUCCESSFUL, IGNORED, NOT_PERMITTED = "failed", "successful", "ignored", "not_permitted"


def look(service: Service) -> None:
    """As of now; totals are those since a breaker began, whichever worker had it."""
    kept = _kept(service)
    now_ms = service.now_ms()
    policies = {name: service.policy(name) for name in kept}
    now = {name: metrics(each, now_ms, policies[name]) for name, each in kept.items()}
    BREAKER_STATES.replace({(name, state): _is(each, state) for name, each in kept.items() for state in State})
    R4J_STATE.replace({(name, state.lower()): _is(each, state) for name, each in kept.items() for state in State})
    R4J_CALLS.replace(
        {(name, kind): row for name, each in kept.items() for kind, row in _calls(each).items()},
    )
    R4J_NOT_PERMITTED.replace({(name, NOT_PERMITTED): each.totals.not_permitted for name, each in kept.items()})
    R4J_BUFFERED.replace(
        {(name, FAILED): of.failed for name, of in now.items()}
        | {(name, SUCCESSFUL): of.successful for name, of in now.items()}
    )
    R4J_SLOW.replace(
        {(name, FAILED): of.slow_failed for name, of in now.items()}
        | {(name, SUCCESSFUL): of.slow - of.slow_failed for name, of in now.items()}
    )
    R4J_FAILURE_RATE.replace({(name,): shown(of.failure_rate) for name, of in now.items()})
    R4J_SLOW_CALL_RATE.replace({(name,): shown(of.slow_call_rate) for name, of in now.items()})
    R4J_MAX_BUFFERED.replace(
        {
            (name,): size
            for name, each in kept.items()
            if (size := _most_buffered(each.breaker, policies[name])) is not None
        }
    )


def _kept(service: Service) -> dict[str, Kept]:
    """None where a store cannot be read, as while one is restored: all other metrics are told."""
    try:
        return dict(own_breakers(service))
    except NotNow:
        return {}


def _most_buffered(breaker: Breaker, policy: Policy) -> int | None:
    """What OPEN and HALF_OPEN began with, else what the next call will find; none of a window of time."""
    window = breaker.window
    if window.size and breaker.state in (State.OPEN, State.HALF_OPEN):
        return window.size if window.type == WindowType.COUNT_BASED else None
    return policy.sliding_window_size if policy.sliding_window_type == WindowType.COUNT_BASED else None


def _is(kept: Kept, state: State) -> int:
    return int(kept.breaker.state is state)


def _calls(kept: Kept) -> dict[str, tuple[int, float]]:
    """How many, and how long they took in seconds."""
    totals = kept.totals
    return {
        SUCCESSFUL: (totals.successful, totals.successful_ms / 1000),
        FAILED: (totals.failed, totals.failed_ms / 1000),
        IGNORED: (totals.ignored, totals.ignored_ms / 1000),
    }
