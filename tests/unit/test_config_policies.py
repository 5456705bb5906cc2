"""Which entry of resilience4j.* a policy is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import Settings, load
from app.config.policies import versioned
from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import State
from app.domain.breakers.scopes import Scopes
from app.domain.breakers.window import WindowType
from app.domain.interval import exponential, fixed, randomized
from app.domain.retry import RetryPolicy


def settings(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "application.yml"
    file.write_text(f"resilience4j: {text}")
    return load(file, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", RetryPolicy()),
        ("{configs: {default: {maxAttempts: 2}}}", RetryPolicy(max_attempts=2)),
        ("{configs: {default: {maxAttempts: 2}}, instances: {default: {maxAttempts: 4}}}", RetryPolicy(max_attempts=4)),
        (
            "{instances: {default: {maxAttempts: 4, waitDuration: 1s}, pay: {maxAttempts: 5}}}",
            RetryPolicy(max_attempts=5, wait_ms=1_000),
        ),
        (
            "{configs: {a: {baseConfig: b, maxAttempts: 7}, b: {maxAttempts: 8, waitDuration: 2s}}, "
            "instances: {pay: {baseConfig: a}}}",
            RetryPolicy(max_attempts=7, wait_ms=2_000),
        ),
        ("{instances: {pay: {exponentialBackoffMultiplier: 3}}}", RetryPolicy(multiplier=3.0)),
        ("{instances: {pay: {enableExponentialBackoff: true}}}", RetryPolicy(multiplier=1.5)),
        ("{instances: {pay: {enableRandomizedWait: true}}}", RetryPolicy(randomized=0.5)),
        ("{instances: {pay: {randomizedWaitFactor: 0.3}}}", RetryPolicy()),
        ("{instances: {pay: {exponentialMaxWaitDuration: 5m}}}", RetryPolicy(max_wait_ms=300_000)),
        ("{instances: {pay: {waitDuration: 0}}}", RetryPolicy(wait_ms=0)),
        (
            "{configs: {default: {exponentialBackoffMultiplier: 3}}, "
            "instances: {pay: {enableExponentialBackoff: false}}}",
            RetryPolicy(),
        ),
        ("{instances: {other: {maxAttempts: 9}}}", RetryPolicy()),
    ],
)
def test_a_retry_takes_each_field_from_the_nearest_entry(tmp_path: Path, text: str, expected: RetryPolicy) -> None:
    assert settings(tmp_path, f"{{retry: {text}}}").retry_policy("pay") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", Policy()),
        ("{instances: {pay: {slidingWindowSize: 5}}}", Policy(sliding_window_size=5, minimum_number_of_calls=5)),
        ("{configs: {default: {waitDurationInOpenState: 9s}}}", Policy(wait_duration_in_open_state_ms=9_000)),
        (
            "{configs: {default: {slidingWindowSize: 5}}, instances: {pay: {failureRateThreshold: 2.5}}}",
            Policy(sliding_window_size=5, minimum_number_of_calls=5, failure_rate_threshold=2.5),
        ),
        (
            "{configs: {default: {slidingWindowSize: 5}, slow: {minimumNumberOfCalls: 7}}, "
            "instances: {pay: {baseConfig: slow}}}",
            Policy(minimum_number_of_calls=7),
        ),
        (
            "{configs: {default: {slidingWindowSize: 5}, pay: {slidingWindowSize: 6}}, instances: {pay: {}}}",
            Policy(sliding_window_size=6, minimum_number_of_calls=6),
        ),
        ("{instances: {default: {slidingWindowSize: 5}}}", Policy()),
        (
            "{instances: {pay: {slowCallDurationThreshold: 2s, maxWaitDurationInHalfOpenState: 1m, "
            "permittedNumberOfCallsInHalfOpenState: 3, automaticTransitionFromOpenToHalfOpenEnabled: true, "
            "slowCallRateThreshold: 30, slidingWindowType: count_based, transitionToStateAfterWaitDuration: closed}}}",
            Policy(
                slow_call_duration_threshold_ms=2_000,
                max_wait_duration_in_half_open_state_ms=60_000,
                permitted_number_of_calls_in_half_open_state=3,
                automatic_transition_from_open_to_half_open_enabled=True,
                slow_call_rate_threshold=30.0,
                transition_to_state_after_wait_duration="CLOSED",
            ),
        ),
    ],
)
def test_a_breaker_takes_each_field_as_resilience4j_does(tmp_path: Path, text: str, expected: Policy) -> None:
    assert settings(tmp_path, f"{{circuitbreaker: {text}}}").breaker_policy("pay") == versioned(expected)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            "{slidingWindowType: TIME_BASED, slidingWindowSize: 60, minimumNumberOfCalls: 1000, initialState: open}",
            Policy(
                sliding_window_type="TIME_BASED",
                sliding_window_size=60,
                minimum_number_of_calls=1_000,
                initial_state=State.OPEN,
            ),
        ),
        (
            "{waitDurationInOpenState: 1s, enableExponentialBackoff: true}",
            Policy(wait_interval_in_open_state=exponential(1_000, 1.5)),
        ),
        (
            "{waitDurationInOpenState: 1s, exponentialBackoffMultiplier: 2, exponentialMaxWaitDurationInOpenState: 9s}",
            Policy(wait_interval_in_open_state=exponential(1_000, 2.0, 9_000)),
        ),
        (
            "{waitDurationInOpenState: 1s, exponentialBackoffMultiplier: 2, enableExponentialBackoff: false}",
            Policy(wait_duration_in_open_state_ms=1_000),
        ),
        (
            "{waitDurationInOpenState: 1s, enableRandomizedWait: true}",
            Policy(wait_interval_in_open_state=randomized(fixed(1_000), 0.5)),
        ),
        (
            "{waitDurationInOpenState: 1s, enableRandomizedWait: true, randomizedWaitFactor: 0.1}",
            Policy(wait_interval_in_open_state=randomized(fixed(1_000), 0.1)),
        ),
    ],
)
def test_a_breaker_waits_and_counts_as_resilience4j_would(tmp_path: Path, entry: str, expected: Policy) -> None:
    found = settings(tmp_path, f"{{circuitbreaker: {{instances: {{pay: {entry}}}}}}}")
    assert found.breaker_policy("pay") == versioned(expected)
    assert found.notices == ()


GROWING = "configs: {default: {waitDurationInOpenState: 1s, enableExponentialBackoff: true}}"


def test_an_entry_that_says_its_wait_says_all_of_it(tmp_path: Path) -> None:
    found = settings(
        tmp_path, f"{{circuitbreaker: {{{GROWING}, instances: {{pay: {{waitDurationInOpenState: 9s}}}}}}}}"
    )
    assert found.breaker_policy("pay") == versioned(Policy(wait_duration_in_open_state_ms=9_000))
    assert found.breaker_policy("other") == versioned(Policy(wait_interval_in_open_state=exponential(1_000)))


def test_what_resilience4j_passes_over_without_a_word_is_passed_over_with_one(tmp_path: Path) -> None:
    found = settings(tmp_path, f"{{circuitbreaker: {{{GROWING}, instances: {{pay: {{enableRandomizedWait: true}}}}}}}}")
    assert found.breaker_policy("pay") == versioned(Policy(wait_interval_in_open_state=exponential(1_000)))
    assert [notice.replace(f"{tmp_path}/", "") for notice in found.notices] == [
        "resilience4j.circuitbreaker.instances.pay.enableRandomizedWait: without effect beside no "
        "waitDurationInOpenState, as in Resilience4j (application.yml:1)"
    ]


BELOW = """{circuitbreaker: {
  configs: {patient: {slowCallDurationThreshold: 30s}},
  instances: {
    pay: {slidingWindowSize: 20, slowCallDurationThreshold: 1s},
    "[pay:op:charge]": {slowCallDurationThreshold: 5s},
    "[pay:from:shop]": {baseConfig: patient}
  }
}}"""


@pytest.mark.parametrize(
    ("breaker", "slow_ms"),
    [
        ("pay", 1_000),
        ("pay:op:charge", 5_000),
        ("pay:op:refund", 1_000),
        ("pay:from:shop", 30_000),
        ("pay:instance:pay-3", 1_000),
    ],
)
def test_a_breaker_below_its_service_takes_the_rest_from_the_service(
    tmp_path: Path, breaker: str, slow_ms: int
) -> None:
    expected = Policy(slow_call_duration_threshold_ms=slow_ms, sliding_window_size=20, minimum_number_of_calls=20)
    assert settings(tmp_path, BELOW).breaker_policy(breaker) == versioned(expected)


def test_breakers_below_it_name_their_service(tmp_path: Path) -> None:
    text = '{circuitbreaker: {instances: {"[pay:op:charge]": {slidingWindowSize: 5}, courier: {slidingWindowSize: 5}}}}'
    assert settings(tmp_path, text).breakers == ("pay", "courier")


def test_a_service_has_the_breakers_that_the_settings_say(tmp_path: Path) -> None:
    found = settings(tmp_path, "{}\niopt: {breakers: {pay: {scopes: [service, operation], most: 20}}}")
    assert found.breaker_scopes("pay") == Scopes(("service", "operation"), 20)
    assert found.breaker_scopes("courier") == Scopes(("service",), 256)


def test_an_entry_of_a_breaker_that_is_not_asked_for_is_named_once(tmp_path: Path) -> None:
    text = '{circuitbreaker: {instances: {"[pay:from:shop]": {slidingWindowSize: 5, minimumNumberOfCalls: 5}}}}'
    assert [notice.replace(f"{tmp_path}/", "") for notice in settings(tmp_path, text).notices] == [
        "resilience4j.circuitbreaker.instances.[pay:from:shop]: no breaker, since iopt.breakers.pay.scopes has no "
        "caller (application.yml:1)"
    ]
    assert settings(tmp_path, f"{text}\niopt: {{breakers: {{pay: {{scopes: [caller]}}}}}}").notices == ()


def test_a_policy_has_the_same_version_wherever_it_is_the_same(tmp_path: Path) -> None:
    here = settings(tmp_path, "{circuitbreaker: {instances: {pay: {slidingWindowSize: 5}}}}").breaker_policy("pay")
    there = settings(tmp_path, "{circuitbreaker: {configs: {default: {sliding-window-size: 5}}}}").breaker_policy("pay")
    other = settings(tmp_path, "{circuitbreaker: {instances: {pay: {slidingWindowSize: 6}}}}").breaker_policy("pay")
    assert here == there
    assert here.config_version != other.config_version
    assert 0 < here.config_version < 2**31


def test_a_policy_keeps_its_version_from_release_to_release() -> None:
    assert versioned(Policy()).config_version == 1_493_557_592
    assert versioned(Policy(sliding_window_size=5)).config_version == 1_206_731_866


@pytest.mark.parametrize("other_name", ["backends", "instances"])
def test_instances_have_resilience4j_s_other_name_too(tmp_path: Path, other_name: str) -> None:
    text = f"{{circuitbreaker: {{{other_name}: {{pay: {{failureRateThreshold: 20}}}}}}}}"
    assert settings(tmp_path, text).breaker_policy("pay").failure_rate_threshold == 20


@pytest.mark.parametrize("type_", WindowType)
def test_a_window_is_of_a_type_and_not_of_its_name(tmp_path: Path, type_: WindowType) -> None:
    found = settings(tmp_path, f"{{circuitbreaker: {{configs: {{default: {{slidingWindowType: {type_}}}}}}}}}")
    assert found.breaker_policy("pay").sliding_window_type is type_
