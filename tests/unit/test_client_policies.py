"""A policy in code is refused for what its settings would be refused for."""

import pytest
from msgspec import structs

from app.client.cache_fallback import CachePolicy
from app.client.hedge import HedgePolicy
from app.client.judging import CircuitBreakerPolicy
from app.client.retry import RetryPolicy
from app.domain.bulkhead import BulkheadPolicy, ThreadPoolBulkheadPolicy
from app.domain.rate_limiter import RateLimiterPolicy
from app.domain.time_limiter import TimeLimiterPolicy


@pytest.mark.parametrize(
    ("policy", "field", "value", "expected"),
    [
        (CircuitBreakerPolicy, "sliding_window_size", 0, "int >= 1"),
        (CircuitBreakerPolicy, "failure_rate_threshold", -1, "float > 0.0"),
        (CircuitBreakerPolicy, "failure_rate_threshold", 101.0, "float <= 100.0"),
        (CircuitBreakerPolicy, "sliding_window_type", "TIME", "invalid enum value 'TIME'"),
        (CircuitBreakerPolicy, "transition_to_state_after_wait_duration", "HALF_OPEN", "invalid enum value"),
        (CircuitBreakerPolicy, "wait_duration_in_open_state_ms", 0.5, "expected int"),
        (RetryPolicy, "max_attempts", 0, "int >= 1"),
        (RetryPolicy, "budget_percent", 0, "float > 0.0"),
        (RateLimiterPolicy, "limit_for_period", 0, "int >= 1"),
        (TimeLimiterPolicy, "timeout_duration_ms", 0, "int >= 1"),
        (BulkheadPolicy, "max_concurrent_calls", -1, "int >= 0"),
        (ThreadPoolBulkheadPolicy, "queue_capacity", "many", "expected int"),
        (HedgePolicy, "max_attempts", 0, "int >= 1"),
        (CachePolicy, "max_age_ms", 0, "int >= 1"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_field(policy, field, value, expected):
    with pytest.raises(ValueError, match=f"^{field}={value!r}: .*{expected}"):
        policy(**{field: value})
    with pytest.raises(ValueError, match=f"^{field}="):
        structs.replace(policy(), **{field: value})


@pytest.mark.parametrize(
    "written",
    [
        {"failure_rate_threshold": 50, "sliding_window_type": "TIME_BASED", "record_exceptions": (OSError, "Nope")},
        {"initial_state": "METRICS_ONLY", "record_result": bool, "transition_to_state_after_wait_duration": "CLOSED"},
    ],
)
def test_words_whole_numbers_and_code_are_taken(written):
    CircuitBreakerPolicy(**written)
