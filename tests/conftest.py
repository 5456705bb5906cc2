"""Fixtures of all levels. The quick levels run first, so that a slip is seen before a broker starts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from deploy.kafka import KAFKA_4_TRANSACTIONS_1, Broker, local_kafka
from tests.support.kafka import Kafka

QUICK_FIRST = ("unit", "contract", "property", "driver", "bench", "kafka", "faults")
TESTS = Path(__file__).parent

settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        level = item.path.relative_to(TESTS).parts[0]
        return (*QUICK_FIRST, level).index(level)

    items.sort(key=rank)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One broker for the whole run, or the cluster that IOPT_KAFKA names."""
    with local_kafka(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield Kafka(bootstrap)


@pytest.fixture(scope="session")
def kafka_version_1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A cluster whose feature `transaction.version` is 1, as Kafka 3's transactions are."""
    broker = Broker(tmp_path_factory.mktemp("kafka-version-1"), heap="128m", release=KAFKA_4_TRANSACTIONS_1)
    try:
        broker.start()
        yield Kafka(broker.bootstrap)
    finally:
        broker.stop()


@pytest.fixture
def prefix() -> str:
    """Begins the names of one test's topics and groups: all tests share the broker."""
    return f"test-{secrets.token_hex(4)}."
