"""Three callers of one service, a real Kafka, and a worker that is killed: they stop and start calling together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.client.errors import CallNotPermitted
from app.client.fleet import Limits
from app.client.judging import CircuitBreakerPolicy
from app.client.kafka import connect
from app.client.scope import Who
from app.domain.breakers.breaker import State
from tests.support.kafka import wait_for
from tests.support.product import SETTINGS, Product, product_in

SERVICE = "payment-service"
PERMITTED = 6
POLICY = f"""{{slidingWindowSize: 20, minimumNumberOfCalls: 10, waitDurationInOpenState: 2s,
  permittedNumberOfCallsInHalfOpenState: {PERMITTED}}}"""
NEVER_BY_ITSELF = CircuitBreakerPolicy(sliding_window_size=100_000, minimum_number_of_calls=100_000)
PAUSE_S = 0.02


class Service:
    def __init__(self) -> None:
        self.works = True
        self.trials = 0


class Caller:
    """Calls the service again and again."""

    def __init__(self, bootstrap: str, client: str, service: Service) -> None:
        self.fleet = connect(bootstrap, Who("order-service", client), limits=Limits(unanswered_ms=300_000))
        self.breaker = self.fleet.breaker(SERVICE, NEVER_BY_ITSELF)
        self.changes: list[Any] = []
        self.breaker.on_event(self.changes.append, "STATE_TRANSITION")
        self.service, self.ends = service, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.ends.wait(PAUSE_S):
            with suppress(ConnectionError, CallNotPermitted):
                self.breaker.call(self._called)

    def _called(self) -> None:
        self.service.trials += self.breaker.state is State.HALF_OPEN
        if not self.service.works:
            raise ConnectionError

    def close(self) -> None:
        self.ends.set()
        self.thread.join()
        self.fleet.close()


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    with product_in(tmp_path, SETTINGS.replace("{slidingWindowSize: 100}", POLICY)) as made:
        yield made


@pytest.mark.timeout(300)
def test_a_fleet_opens_together_and_recovers_together_though_the_worker_is_killed(product):
    worker, service = product.ready(), Service()
    with ExitStack() as stack:
        callers = [Caller(product.kafka.bootstrap, f"order-{n}", service) for n in range(3)]
        for caller in callers:
            stack.callback(caller.close)
            assert caller.fleet.ready.wait(60)
        wait_for(lambda: all(caller.fleet.report.sent > 20 for caller in callers), "calls to be told of", 60)

        service.works = False
        wait_for(lambda: all(caller.breaker.state is State.OPEN for caller in callers), "all to stop", 60)
        opened = [caller.changes[0].at for caller in callers]
        assert [caller.changes[0].cause for caller in callers] == ["fleet"] * 3
        assert max(opened) - min(opened) < 1_000

        worker.kill()
        service.works = True
        product.ready()
        wait_for(lambda: all(caller.breaker.state is State.CLOSED for caller in callers), "all to call again", 120)

    assert 0 < service.trials <= PERMITTED
    changes = [msgspec.json.decode(record.value) for record in product.kafka.read_all("iopt.breaker-transitions")]
    assert [(change["from"], change["to"], change["cause"]) for change in changes] == [
        ("CLOSED", "OPEN", "failure-rate"),
        ("OPEN", "HALF_OPEN", "wait"),
        ("HALF_OPEN", "CLOSED", "trial"),
    ]
    assert changes[0]["first_failure"]["caller"] == "order-service"
