"""Rule R3 as an operator meets it: of a store that is damaged under a worker, HTTP and the commands say so."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.damage import flip
from tests.support.kafka import Written, wait_for
from tests.support.product import DEFINITION, IOPT, Product, event, product_in
from tests.support.watched import get

DICE = random.Random(3)
ORDERS = [f"o-{n}-{DICE.randbytes(80).hex()}" for n in range(80)]  # long and many: each store has several blocks


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[Product]:
    """All orders wait for their first reply: nothing but HTTP reads them.

    In each saga store a bit of the states is flipped: they come first, and no start reads them.
    """
    with product_in(tmp_path) as product:
        (tmp_path / "order.yaml").write_text(DEFINITION.replace("timeout: 60s", "timeout: 10m"))
        worker = product.ready()
        product.kafka.write("orders", *map(event, ORDERS))
        product.kafka.read_until("iopt.saga-events", started, within_s=120)
        assert worker.stop() == 0
        for file in (tmp_path / "data" / "0" / "stores").glob("saga-*/*.sst"):
            flip(file, file.stat().st_size // 4)
        yield product


def started(facts: list[Written]) -> bool:
    return {f"order/{order}" for order in ORDERS} <= {fact.key for fact in facts}


def show(product: Product, order: str) -> subprocess.CompletedProcess[str]:
    command = [str(IOPT), "--config", str(product.settings), "saga", "show", "order", order]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=product.environment())


@pytest.mark.timeout(600)
def test_r3_what_a_damaged_store_cannot_tell_is_a_503_until_it_is_rebuilt(damaged: Product) -> None:
    worker = damaged.ready()
    assert worker.events("store_rebuilt") == []
    refused = next(told for told in (show(damaged, order) for order in ORDERS) if told.returncode)
    assert refused.returncode == 1
    assert "cannot be read: Corruption: block checksum mismatch" in refused.stderr
    assert "it is being rebuilt, ask again later" in refused.stderr
    answers: list[tuple[int, Any]] = []

    def all_told() -> bool:
        answers.extend(get(damaged.port, f"/sagas/order/{order}") for order in ORDERS)
        answers.append(get(damaged.port, "/actuator/health"))
        return {status for status, _ in answers[-len(ORDERS) - 1 :]} == {200}

    wait_for(all_told, "every order to be told", 120)
    assert {status for status, _ in answers} <= {200, 503}
    told = [body for status, body in answers if status == 200 and "key" in body]
    assert {(body["key"], body["state"]) for body in told} == {(order, "RUNNING") for order in ORDERS}
    rebuilt = worker.events("store_rebuilt")
    assert {event["task"] for event in rebuilt} == {f"saga-{number}" for number in range(4)}
    assert show(damaged, ORDERS[0]).returncode == 0
    status, body = get(damaged.port, "/sagas")
    assert (status, len(body["items"])) == (200, len(ORDERS))
    assert worker.stop() == 0
