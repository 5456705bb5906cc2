"""Settings of breakers that change while a worker runs, on a real Kafka."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from typing import Any

import msgspec
import pytest

from app.config import load
from app.wire.topics import BREAKER_STATES, BREAKER_TRANSITIONS, CALL_OUTCOMES
from tests.support.kafka import Written, wait_for
from tests.support.product import IOPT, Product
from tests.support.workers import Process

SETTINGS = """\
spring: {kafka: {consumer: {group-id: product}}}
iopt: {definitions: [order.yaml], session-timeout: 4s, cache-size: 64MB}
resilience4j:
  circuitbreaker:
    configs: {default: {minimumNumberOfCalls: 4}}
    instances:
      payment-service: {slidingWindowSize: 20, failureRateThreshold: 80, slowCallDurationThreshold: 5s}
"""
OTHER = (
    SETTINGS.replace(
        "slidingWindowSize: 20, failureRateThreshold: 80", "slidingWindowSize: 30, failureRateThreshold: 55"
    )
    .replace(
        "slowCallDurationThreshold: 5s}",
        "slowCallDurationThreshold: 1s}\n      refund-service: {failureRateThreshold: 70}",
    )
    .replace("64MB", "32MB")
)
INSTANCES = "resilience4j.circuitbreaker.instances"
WRONG = OTHER.replace("iopt: {", "iopt: {timer-wiat: 5s, ").replace("55", "155")


@pytest.fixture(scope="module")
def worker(product: Product) -> Process:
    """It was told to read its settings again before it was ready."""
    write(product, SETTINGS)
    worker = product.start()
    for times, event in enumerate(("transactions_chosen", "task_ready"), start=1):
        worker.until(event)
        worker.signal(signal.SIGHUP)
        worker.until("settings_reloaded", lambda events, times=times: len(events) == times)
    worker.until("task_ready", lambda events: len({event["task"] for event in events}) >= 12)
    return worker


def test_a_wrong_file_changes_nothing_and_its_mistakes_are_named(product: Product, worker: Process) -> None:
    call(product, "courier-service", "failure", "success")
    wait_for(lambda: shown(product).get("courier-service", {}).get("bufferedCalls") == 2, "two calls", 60)
    before = shown(product)
    write(product, WRONG)
    worker.signal(signal.SIGHUP)
    worker.until("settings_kept")
    named = [event["problem"] for event in worker.events("setting_refused")]
    assert named == checked(product)
    assert len(named) == 2
    assert shown(product) == before
    write(product, SETTINGS)


def test_a_lower_threshold_counts_with_the_calls_that_were_before_it(product: Product, worker: Process) -> None:
    call(product, "payment-service", *["failure", "success"] * 3)
    wait_for(lambda: shown(product).get("payment-service", {}).get("bufferedCalls") == 6, "six calls", 60)
    reloads = len(worker.events("settings_reloaded"))
    write(product, OTHER)
    for _ in range(3):
        worker.signal(signal.SIGHUP)
    worker.until("settings_reloaded", lambda events: len(events) > reloads)
    assert [(event["setting"], event["old"], event["new"], event["counts"]) for event in changes(worker)] == [
        ("iopt.cache-size", "64MB", "32MB", "after a restart"),
        (f"{INSTANCES}.payment-service.failureRateThreshold", "80", "55", "from now on"),
        (f"{INSTANCES}.payment-service.slidingWindowSize", "20", "30", "from now on"),
        (f"{INSTANCES}.payment-service.slowCallDurationThreshold", "5s", "1s", "from now on"),
        (f"{INSTANCES}.refund-service.failureRateThreshold", None, "70", "from now on"),
    ]
    seen = shown(product)
    assert seen["refund-service"]["failureRateThreshold"] == "70.0%"
    payment = seen["payment-service"]
    assert (payment["failureRateThreshold"], payment["bufferedCalls"], payment["state"]) == ("55.0%", 6, "CLOSED")
    assert metric(product, "resilience4j_circuitbreaker_max_buffered_calls") == 30
    call(product, "payment-service", "failure")
    [opened] = product.kafka.read(BREAKER_TRANSITIONS.name, count=1, within_s=60)
    told = msgspec.json.decode(opened.value or b"")
    assert (told["to"], told["buffered_calls"], told["failed_calls"]) == ("OPEN", 7, 4)
    assert told["config_version"] == load(product.settings).breaker_policy("payment-service").config_version
    states = [msgspec.json.decode(state.value or b"") for state in product.kafka.read_all(BREAKER_STATES.name)]
    assert [(state["state"], state["slow_call_duration_ms"]) for state in states if of_payment(state)] == [
        ("CLOSED", 5_000),
        ("CLOSED", 1_000),
        ("OPEN", 1_000),
    ]


def of_payment(state: dict[str, Any]) -> bool:
    return bool(state["breaker"] == "payment-service")


def changes(worker: Process) -> list[dict[str, Any]]:
    """Those that were told first; what waits for a restart is told each time."""
    return worker.events("setting_changed")[:5]


def write(product: Product, text: str) -> None:
    product.settings.write_text(text.replace("order.yaml", str(product.directory / "order.yaml")))


def call(product: Product, service: str, *outcomes: str) -> None:
    bodies = [json.dumps({"service": service, "outcome": outcome}).encode() for outcome in outcomes]
    product.kafka.write(CALL_OUTCOMES.name, *(Written(service, body) for body in bodies))


def shown(product: Product) -> dict[str, Any]:
    with urllib.request.urlopen(f"{product.url}/actuator/circuitbreakers") as answer:
        found: dict[str, Any] = json.loads(answer.read())["circuitBreakers"]
    return found


def metric(product: Product, name: str) -> float:
    """Of the breaker of payment-service."""
    with urllib.request.urlopen(f"{product.url}/actuator/prometheus") as answer:
        lines = [line for line in answer.read().decode().splitlines() if line.startswith(name)]
    [line] = [line for line in lines if 'name="payment-service"' in line]
    return float(line.split()[1])


def checked(product: Product) -> list[str]:
    command = [str(IOPT), "config", "check", str(product.settings), "--json"]
    told = subprocess.run(command, capture_output=True, text=True, env=product.environment(), check=False)
    return [f"{problem['where']}: {problem['message']}" for problem in json.loads(told.stdout)["problems"]]
