"""A breaker of the client library that opens after four failed calls, and ways to make them."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from msgspec import structs

from app.client.breaker import CircuitBreaker
from app.client.judging import CircuitBreakerPolicy
from app.domain.breakers.breaker import Policy
from tests.support.failures import NetworkError
from tests.support.virtual_clock import VirtualClock

SMALL = CircuitBreakerPolicy(
    sliding_window_size=4,
    minimum_number_of_calls=4,
    permitted_number_of_calls_in_half_open_state=2,
    wait_duration_in_open_state_ms=1_000,
)


def of(clock: VirtualClock, policy: Policy = SMALL, **changes: Any) -> CircuitBreaker:
    return CircuitBreaker("pay", structs.replace(policy, **changes), clock)


def raised(error: Exception) -> NoReturn:
    raise error


def fail(breaker: CircuitBreaker, times: int, error: type[Exception] = NetworkError) -> None:
    for _ in range(times):
        with pytest.raises(error):
            breaker.call(raised, error())
