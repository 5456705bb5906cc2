"""The product as its users have it: `iopt worker` over a Kafka of its own, and services that answer by a script.

The same script plays in the driver, so that what a real Kafka shows can be compared with it.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from app.config import load
from app.engine.driver import Driver
from app.wire.definitions import load_definitions
from app.wire.topics import DEFINITIONS, DOMAIN_EVENTS, SAGA_REPLIES, commands
from app.worker.plan import plan_of
from deploy.kafka import local_kafka
from tests.support.kafka import Kafka, Written
from tests.support.workers import Process

IOPT = Path(sys.executable).with_name("iopt")
ORDERS = ("o-1-declined", "o-2-flaky", "o-3-unsure", "o-4-unshippable", "o-5")
SERVICES = ("inventory-service", "payment-service", "courier-service")
OWN = ("iopt.saga-events", "iopt.call-outcomes", "iopt.breaker-transitions", "iopt.breaker-states", "orders")
TOPICS = (*OWN, *(f"{service}.commands" for service in SERVICES))
DEFINITION = """\
saga: order
version: 1
start: {on: {topic: orders, type: order.created}, key: orderId}
deadline: 15m
steps:
  - {step: RESERVE, to: inventory-service, do: reserve, undo: release, timeout: 60s}
  - step: CHARGE
    to: payment-service
    do: charge
    undo: refund
    query: find-charge
    data: {orderId: "${start.orderId}", amount: "${start.total}"}
    timeout: 60s
    retry: {maxAttempts: 3, waitDuration: 200ms}
  - {step: SHIP, to: courier-service, do: ship, undo: recall, timeout: 60s}
on_completed: order.completed
on_compensated: order.failed
"""
SETTINGS = """\
spring: {kafka: {consumer: {group-id: product}}}
iopt: {definitions: [order.yaml], session-timeout: 4s}
resilience4j: {circuitbreaker: {instances: {payment-service: {slidingWindowSize: 100}}}}
"""

Script = Callable[[dict[str, Any]], dict[str, Any] | None]


def script(command: dict[str, Any]) -> dict[str, Any] | None:
    """What the services answer is in the order's name: o-1-declined, o-2-flaky, o-3-unsure, o-4-unshippable, o-5."""
    order, step, attempt = command["saga_id"], (command["step"], command["action"]), command["attempt"]
    if step == ("CHARGE", "do") and "declined" in order:
        return {"outcome": "refused", "error": {"code": "card-declined"}}
    if step == ("CHARGE", "do") and "flaky" in order and attempt < 3:
        return {"outcome": "failed", "error": {"code": "busy"}}
    if step == ("CHARGE", "do") and "unsure" in order:
        return {"outcome": "unknown"}
    if step == ("SHIP", "do") and "unshippable" in order:
        return {"outcome": "refused", "error": {"code": "no-courier"}}
    return {"outcome": "done", "data": {"by": command["to"]}}


def answer(command: dict[str, Any]) -> tuple[str, bytes]:
    reply = {"command_id": command["command_id"], "saga_id": command["saga_id"], **(script(command) or {})}
    return command["saga_id"], msgspec.json.encode(reply)


def event(order: str) -> Written:
    headers = (("ce_type", b"order.created"), ("ce_id", order.encode()), ("traceparent", trace_of_order(order)))
    return Written(order, f'{{"orderId":"{order}","total":49.90}}'.encode(), headers)


def trace_of_order(order: str) -> bytes:
    return b"00-%032x-00000000000000aa-01" % int.from_bytes(order.encode()[:15])


class Product:
    """One directory of settings and state, one broker, and as many workers as a test starts, until `with` is left."""

    def __init__(self, kafka: Kafka, directory: Path, settings: str = SETTINGS) -> None:
        self.kafka, self.directory = kafka, directory
        self.port = free_port()
        (directory / "order.yaml").write_text(DEFINITION)
        (directory / "application.yml").write_text(settings.replace("order.yaml", str(directory / "order.yaml")))
        self.answered: set[str] = set()
        self.workers: list[Process] = []

    def __enter__(self) -> Self:
        """Makes the topics that are others'."""
        self.kafka.create("orders", *(f"{service}.commands" for service in SERVICES))
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()

    @property
    def settings(self) -> Path:
        return self.directory / "application.yml"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, port: int | None = None) -> dict[str, str]:
        told = {"IOPT_KAFKA": self.kafka.bootstrap, "IOPT_PORT": str(port or self.port)}
        return os.environ | told | {"IOPT_DATA_DIR": str(self.directory / "data")}

    def start(self, port: int | None = None) -> Process:
        command = [str(IOPT), "--config", str(self.settings), "worker"]
        self.workers.append(
            Process(command, self.directory / f"worker-{len(self.workers)}.log", env=self.environment(port))
        )
        return self.workers[-1]

    def ready(self) -> Process:
        worker = self.start()
        worker.until("task_ready", lambda events: len({event["task"] for event in events}) >= 12)
        return worker

    def serve(self, ends: Callable[[list[Written]], bool], within_s: float = 60.0) -> None:
        """Answer every command once, until the facts say that it is enough."""

        def enough(facts: list[Written]) -> bool:
            self._answer_new()
            return ends(facts)

        self.kafka.read_until("iopt.saga-events", enough, within_s=within_s)

    def _answer_new(self) -> None:
        for service in SERVICES:
            for record in self.kafka.read_all(f"{service}.commands"):
                command = msgspec.json.decode(record.value or b"")
                if command["command_id"] not in self.answered:
                    self.answered.add(command["command_id"])
                    headers = [(name, value) for name, value in record.headers if name == "traceparent"]
                    reply = Written(*answer(command), (("ce_type", b"iopt.saga.reply"), *headers))
                    self.kafka.write("iopt.saga-replies", reply)

    def told(self) -> dict[tuple[str, str | None], list[Any]]:
        """By topic and key, what was said, without times."""
        return {
            (topic, key): of
            for topic in TOPICS
            for key, of in by_key((record.key, record.value) for record in self.kafka.read_all(topic)).items()
        }


@contextmanager
def product_in(directory: Path, settings: str = SETTINGS) -> Iterator[Product]:
    """Over a Kafka of its own."""
    with local_kafka(directory / "kafka") as bootstrap, Product(Kafka(bootstrap), directory, settings) as product:
        yield product


def in_driver(settings: Path, orders: Sequence[str], *, careful: bool) -> dict[tuple[str, str | None], list[Any]]:
    """The same story, told by the driver."""
    own = load_definitions(load(settings).definitions)
    plan = plan_of(load(settings), own)
    driver = Driver(plan.processors, plan.named, plan.settings, careful=careful)
    for definition in own:
        driver.send(DEFINITIONS, definition.id, definition)
    [source] = plan.named[DOMAIN_EVENTS]
    for order in orders:
        placed = event(order)
        driver.send(source, placed.key, placed.value, placed.headers)
    _answer_all(driver)
    return {
        (topic, key): of
        for topic in TOPICS
        for key, of in by_key(
            ((record.key or b"").decode(), record.value) for record in driver.records(commands(topic))
        ).items()
    }


def _answer_all(driver: Driver) -> None:
    answered: set[str] = set()
    for _ in range(100):
        sent = [record for service in SERVICES for record in driver.records(commands(f"{service}.commands"))]
        fresh = [c for c in (msgspec.json.decode(r.value or b"") for r in sent) if c["command_id"] not in answered]
        for command in fresh:
            answered.add(command["command_id"])
            driver.send(SAGA_REPLIES, *answer(command), [("ce_type", b"iopt.saga.reply")])
        if not fresh:
            driver.advance("1s")


TIMES = re.compile(r"(?:.*_)?at|.*_ms")


def by_key(records: Any) -> dict[str | None, list[Any]]:
    found: dict[str | None, list[Any]] = {}
    for key, value in records:
        found.setdefault(key, []).append(_timeless(msgspec.json.decode(value)))
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(of) for name, of in value.items() if not TIMES.fullmatch(name)}
    return value


def ended(*orders: str) -> Callable[[list[Written]], bool]:
    endings = (b"iopt.saga.completed", b"iopt.saga.compensated", b"iopt.saga.in_debt")

    def enough(facts: list[Written]) -> bool:
        done = {fact.key for fact in facts if dict(fact.headers).get("ce_type") in endings}
        return {f"order/{order}" for order in orders} <= done

    return enough


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
