"""Breakers behind a real Kafka, with a worker that is killed: what the driver says, to the last call."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from app.config import load
from app.domain.breakers.calls import BreakerAct, CallOutcome
from app.wire.topics import AUDIT, BREAKER_ACTS, BREAKER_STATES, BREAKER_TRANSITIONS, CALL_OUTCOMES, Envelope, Topic
from tests.support.breakers import Breakers
from tests.support.kafka import Kafka, Written
from tests.support.product import Product, by_key, product_in

PAYMENT, COURIER = "payment-service", "courier-service"
INSTANCES = tuple(f"pay-{n}" for n in range(20))
SENTINEL = "pay-last"
SAID = (BREAKER_TRANSITIONS, BREAKER_STATES, AUDIT)
SETTINGS = """\
spring: {kafka: {consumer: {group-id: product}}}
iopt: {definitions: [order.yaml], session-timeout: 4s, breakers: {payment-service: {scopes: [service, instance]}}}
resilience4j:
  circuitbreaker:
    configs:
      default: {slidingWindowSize: 5000, minimumNumberOfCalls: 100, waitDurationInOpenState: 1h}
    instances:
      courier-service: {failureRateThreshold: 60}
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product_in(tmp_path_factory.mktemp("breakers"), SETTINGS) as made:
        yield made


def test_a_killed_worker_loses_no_call_and_no_act_and_counts_none_twice(product: Product) -> None:
    kafka, calls, acts = product.kafka, [*payments(4_000), *last_payments()], [*disabling(), *disabling()]
    for begin in range(0, 3_000, 1_000):
        worker = product.ready()
        write(kafka, CALL_OUTCOMES, calls[begin : begin + 1_000])
        worker.kill()
    write(kafka, CALL_OUTCOMES, calls[3_000:])
    product.start()
    kafka.read_until(BREAKER_TRANSITIONS.name, told_of(SENTINEL), within_s=120)
    write(kafka, BREAKER_ACTS, acts)
    product.workers[-1].kill()
    product.start()
    kafka.read(AUDIT.name, count=len(INSTANCES), within_s=120)
    assert {topic.name: by_key(kafka_said(kafka, topic)) for topic in SAID} == in_driver(product, calls, acts)


def test_r8_an_act_is_taken_before_the_calls_that_wait(product: Product) -> None:
    kafka = product.kafka
    product.workers[-1].kill()
    write(kafka, CALL_OUTCOMES, [CallOutcome(service=COURIER, outcome="failure") for _ in range(200)])
    write(kafka, BREAKER_ACTS, [act("disable", COURIER, COURIER)])
    product.start()
    kafka.read_until(AUDIT.name, told_of(f"disable {COURIER}"), within_s=120)
    [moved] = by_key(kafka_said(kafka, BREAKER_TRANSITIONS))[COURIER]
    assert (moved["to"], moved["cause"], moved["buffered_calls"]) == ("DISABLED", "act", 0)


def payments(count: int) -> Iterator[CallOutcome]:
    """Of instances the more broken the higher their number."""
    dice = random.Random(7)
    for _ in range(count):
        number = dice.randrange(len(INSTANCES))
        outcome = "failure" if dice.random() < number / len(INSTANCES) else "success"
        yield CallOutcome(service=PAYMENT, instance=INSTANCES[number], outcome=outcome, duration_ms=dice.randrange(100))


def last_payments() -> list[CallOutcome]:
    """Their breaker opens when all before them are counted."""
    return [CallOutcome(service=PAYMENT, instance=SENTINEL, outcome="failure")] * 100


def disabling() -> list[BreakerAct]:
    """What moves a breaker tells of its window."""
    return [act("disable", PAYMENT, f"{PAYMENT}:instance:{instance}") for instance in INSTANCES]


def act(word: Any, service: str, breaker: str) -> BreakerAct:
    told = f"{word} {breaker}"
    return BreakerAct(act_id=told, service=service, breaker=breaker, act=word, reason="test", actor="ops", at=1)


def told_of(what: str) -> Any:
    return lambda found: any(what.encode() in (record.value or b"") for record in found)


def write(kafka: Kafka, topic: Topic, values: Iterable[CallOutcome | BreakerAct]) -> None:
    records = []
    for value in values:
        body, headers = topic.codec.encode(value, Envelope(getattr(value, "act_id", "call"), value.service, 1))
        records.append(Written(value.service, body, tuple(headers)))
    kafka.write(topic.name, *records)


def kafka_said(kafka: Kafka, topic: Topic) -> list[tuple[str | None, bytes | None]]:
    return [(record.key, record.value) for record in kafka.read_all(topic.name)]


def in_driver(product: Product, calls: Iterable[CallOutcome], acts: Iterable[BreakerAct]) -> dict[str, Any]:
    settings = load(product.settings)
    names = [PAYMENT, *(f"{PAYMENT}:instance:{instance}" for instance in (*INSTANCES, SENTINEL))]
    policies = {name: settings.breaker_policy(name) for name in names}
    driver = Breakers(policies, {PAYMENT: settings.breaker_scopes(PAYMENT)})
    for call in calls:
        driver.send(CALL_OUTCOMES, call.service, call)
    for told in acts:
        driver.send(BREAKER_ACTS, told.service, told, id=told.act_id)
    return {
        topic.name: by_key(((record.key or b"").decode(), record.value) for record in driver.records(topic))
        for topic in SAID
    }
