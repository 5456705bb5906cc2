"""Files that were written for others load as they are: the contract's sample, and Resilience4j's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.config import Settings, load
from app.config.policies import versioned
from app.domain.breakers.breaker import Policy
from app.domain.interval import exponential
from app.domain.retry import RetryPolicy

ROOT = Path(__file__).parents[2]
THEIR_FILE = ROOT / "tests/resilience4j/application.yaml"

SPELLED_OUT = """\
server:
  port: 8104
spring:
  application:
    name: integration-optimization
  kafka:
    bootstrap-servers: localhost:9092
    producer:
      retries: 3
      acks: all
      batch-size: 16384
    consumer:
      group-id: integration-optimization
      auto-offset-reset: earliest
  zipkin:
    base-url: http://localhost:9411
    sender:
      type: web
  cloud:
    stream:
      kafka:
        streams:
          binder:
            configuration:
              commit.interval.ms: 1000
resilience4j:
  circuitbreaker:
    instances:
      payment-service:
        slidingWindowSize: 20
        minimumNumberOfCalls: 10
        failureRateThreshold: 50
        waitDurationInOpenState: 30s
      inventory-service:
        slidingWindowSize: 30
        minimumNumberOfCalls: 15
        failureRateThreshold: 60
        waitDurationInOpenState: 20s
  retry:
    instances:
      default:
        maxAttempts: 3
        waitDuration: 1s
        exponentialBackoffMultiplier: 2
  bulkhead:
    instances:
      default:
        maxConcurrentCalls: 100
        maxWaitDuration: 0
"""

# By name: camel case to kebab case, and the other way.
CAMEL = re.sub(r"(?<=[a-z])-([a-z])(?=[\w-]*:(?: |$))(?![\w-]*service)", lambda m: m[1].upper(), SPELLED_OUT)
KEBAB = re.sub(r"(?<=[a-z])([A-Z])(?=\w*:)", lambda m: f"-{m[1].lower()}", SPELLED_OUT)
OTHER_UNITS = SPELLED_OUT.replace("30s", "PT30S").replace("20s", "20000").replace(" 1s", " 1000ms")


def of_the_contract() -> str:
    section = (ROOT / "docs/contract.md").read_text(encoding="utf-8").partition("\n## 7. ")[2]
    return section.partition("```yaml\n")[2].partition("```")[0]


def settings(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "application.yml"
    file.write_text(text)
    return load(file, {})


def counting(settings: Settings, prefix: str) -> dict[str, str]:
    return {value.name: value.text for value in settings.effective() if value.name.startswith(prefix)}


SPELLINGS = {
    "as in the contract": of_the_contract(),
    "spelled out": SPELLED_OUT,
    "camel": CAMEL,
    "kebab": KEBAB,
    "other units": OTHER_UNITS,
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_the_sample_of_the_contract_loads_unchanged(tmp_path: Path, text: str) -> None:
    found = settings(tmp_path, text)
    assert (found.port, found.group_id, found.bootstrap) == (8104, "integration-optimization", "localhost:9092")
    assert (found.application, found.auto_offset_reset) == ("integration-optimization", "earliest")
    assert found.breakers == ("payment-service", "inventory-service")
    assert found.breaker_policy("payment-service") == versioned(
        Policy(
            failure_rate_threshold=50.0,
            slow_call_rate_threshold=100.0,
            slow_call_duration_threshold_ms=60_000,
            sliding_window_type="COUNT_BASED",
            sliding_window_size=20,
            minimum_number_of_calls=10,
            permitted_number_of_calls_in_half_open_state=10,
            wait_duration_in_open_state_ms=30_000,
            automatic_transition_from_open_to_half_open_enabled=False,
            max_wait_duration_in_half_open_state_ms=0,
        )
    )
    assert found.breaker_policy("inventory-service") == versioned(
        Policy(
            sliding_window_size=30,
            minimum_number_of_calls=15,
            failure_rate_threshold=60.0,
            wait_duration_in_open_state_ms=20_000,
        )
    )
    assert found.breaker_policy("courier-service") == versioned(Policy())
    assert found.retry_policy("anyone") == RetryPolicy(
        max_attempts=3, wait_ms=1_000, multiplier=2.0, max_wait_ms=None, randomized=0.0
    )
    assert counting(found, "resilience4j.bulkhead.instances.default.") == {
        "resilience4j.bulkhead.instances.default.maxConcurrentCalls": "100",
        "resilience4j.bulkhead.instances.default.maxWaitDuration": "0",
    }


def test_the_spellings_differ() -> None:
    assert len(set(SPELLINGS.values())) == len(SPELLINGS)
    assert "groupId" in CAMEL
    assert "payment-service:" in CAMEL
    assert "sliding-window-size" in KEBAB


def test_what_the_sample_says_without_effect_is_named_once(tmp_path: Path) -> None:
    named = [notice.partition(":")[0] for notice in settings(tmp_path, of_the_contract()).notices]
    assert named == [
        "spring.kafka.producer.retries",
        "spring.kafka.producer.acks",
        "spring.kafka.producer.batch-size",
        "spring.zipkin.base-url",
        "spring.zipkin.sender.type",
        "spring.cloud.stream.kafka.streams.binder.configuration.commit.interval.ms",
        "resilience4j.bulkhead.instances.default.maxConcurrentCalls",
        "resilience4j.bulkhead.instances.default.maxWaitDuration",
    ]


def test_a_field_of_many_instances_is_named_once() -> None:
    named = [notice.partition(": ")[0] for notice in load(THEIR_FILE, {}).notices]
    assert len(named) == len(set(named))
    field = "resilience4j.circuitbreaker.instances.*.registerHealthIndicator"
    (notice,) = (notice for notice in load(THEIR_FILE, {}).notices if notice.startswith(field))
    assert notice.endswith(f"it is for Spring's own beans ({THEIR_FILE}:56 and 3 more)")


@pytest.mark.parametrize(
    ("breaker", "expected"),
    [
        (
            "backendA",
            Policy(
                failure_rate_threshold=70.0,
                sliding_window_size=6,
                minimum_number_of_calls=6,
                permitted_number_of_calls_in_half_open_state=2,
                wait_duration_in_open_state_ms=5_000,
            ),
        ),
        (
            "backendB",
            Policy(
                sliding_window_type="TIME_BASED",
                sliding_window_size=10,
                permitted_number_of_calls_in_half_open_state=5,
                wait_duration_in_open_state_ms=5_000,
            ),
        ),
        (
            "backendC",
            Policy(
                sliding_window_size=10,
                minimum_number_of_calls=10,
                permitted_number_of_calls_in_half_open_state=5,
                wait_interval_in_open_state=exponential(1_000, 2.0, 1_111),
            ),
        ),
        (
            "backendSharedB",
            Policy(
                failure_rate_threshold=60.0,
                sliding_window_type="TIME_BASED",
                wait_duration_in_open_state_ms=10_000,
            ),
        ),
        ("never heard of", Policy(failure_rate_threshold=60.0, wait_duration_in_open_state_ms=10_000)),
    ],
)
def test_resilience4j_s_own_file_gives_its_breakers(breaker: str, expected: Policy) -> None:
    assert load(THEIR_FILE, {}).breaker_policy(breaker) == versioned(expected)


@pytest.mark.parametrize(
    ("participant", "expected"),
    [
        ("retryBackendA", RetryPolicy(max_attempts=4, wait_ms=100)),
        ("retryBackendC", RetryPolicy(max_attempts=3, wait_ms=100, multiplier=2.0, max_wait_ms=222)),
    ],
)
def test_resilience4j_s_own_file_gives_its_retries(participant: str, expected: RetryPolicy) -> None:
    assert load(THEIR_FILE, {}).retry_policy(participant) == expected


def test_resilience4j_s_own_file_gives_what_the_callers_take() -> None:
    found = load(THEIR_FILE, {})
    assert counting(found, "resilience4j.ratelimiter.instances.backendA.") == {
        "resilience4j.ratelimiter.instances.backendA.baseConfig": "default",
        "resilience4j.ratelimiter.instances.backendA.limitForPeriod": "10",
        "resilience4j.ratelimiter.instances.backendA.limitRefreshPeriod": "1s",
        "resilience4j.ratelimiter.instances.backendA.timeoutDuration": "0",
        "resilience4j.ratelimiter.instances.backendA.subscribeForEvents": "true",
        "resilience4j.ratelimiter.instances.backendA.registerHealthIndicator": "true",
        "resilience4j.ratelimiter.instances.backendA.allowHealthIndicatorToFail": "false",
    }
    assert counting(found, "resilience4j.bulkhead.instances.dummyFeignClient.") == {
        "resilience4j.bulkhead.instances.dummyFeignClient.maxConcurrentCalls": "3",
        "resilience4j.bulkhead.instances.dummyFeignClient.maxWaitDuration": "101",
        "resilience4j.bulkhead.instances.dummyFeignClient.writableStackTraceEnabled": "false",
    }
