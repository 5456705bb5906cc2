"""The toy row, one transactional id, and the product; PROMETHEUS=off where `prometheus` cannot be installed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.accounts import Accounts, accounts
from tests.support.kafka import Kafka
from tests.support.product import ORDERS, Product, ended, event, product_in
from tests.support.transactions import LossyClient, lossy

OFF = os.environ.get("PROMETHEUS") == "off"

collect_ignore = ["test_prometheus.py", "test_prometheus_worker.py"] if OFF else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if OFF:
        terminalreporter.write_line("PROMETHEUS=off: scraping and the dashboard's queries were left out")


@pytest.fixture
def toy_row(kafka: Kafka, prefix: str, tmp_path: Path) -> Iterator[Accounts]:
    """Topics are there, no worker runs yet; those that are started end with the test."""
    with accounts(kafka, prefix, tmp_path) as row:
        yield row


@pytest.fixture
async def client(kafka: Kafka) -> AsyncIterator[LossyClient]:
    async with lossy(kafka) as connected:
        yield connected


@pytest.fixture
async def topic(kafka: Kafka, client: LossyClient, prefix: str) -> str:
    name = f"{prefix}outs"
    kafka.create(name, partitions=2)
    await client.set_topics([name])
    return name


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product_in(tmp_path_factory.mktemp("product")) as made:
        yield made


@pytest.fixture(scope="module")
def played(product: Product) -> Product:
    """All orders placed and ended; the worker was killed with -9 once on the way."""
    worker = product.ready()
    product.kafka.write("orders", *(event(order) for order in ORDERS))
    product.serve(lambda facts: len(facts) >= 10)
    worker.kill()
    product.ready()
    product.serve(ended(*ORDERS))
    return product
