"""`iopt topics` and `iopt saga start`: what they make of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.sagas.definition import Definition
from app.domain.sagas.messages import Start
from app.wire.codec import Envelope
from app.wire.definitions import read_definitions
from app.wire.partition import partition
from app.wire.topics import DEFINITIONS, OWNED, SAGA_INBOX, configs
from deploy.kafka import local_kafka
from tests.support.kafka import Kafka, Written

IOPT = (sys.executable, "-c", "from app.cli import main; main()")

DEFINITION = """\
saga: order
version: {version}
start: {{on: {{topic: orders, type: order.created}}, key: orderId}}
steps:
  - {{step: PAY, to: payment-service, do: pay}}
"""


@pytest.fixture(scope="module")
def empty() -> Iterator[Kafka]:
    """A broker of its own: these commands speak of every topic that there is."""
    with tempfile.TemporaryDirectory() as directory, local_kafka(Path(directory)) as bootstrap:
        yield Kafka(bootstrap)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "order.yml").write_text(DEFINITION.format(version=1))
    (tmp_path / "application.yml").write_text("iopt: {definitions: order.yml, partitions: 3, dlq-partitions: 2}")
    return tmp_path


def iopt(kafka: Kafka, place: Path, *args: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IOPT_")}
    env = kept | {"IOPT_KAFKA": kafka.bootstrap, "PYTHONPATH": os.getcwd()}
    return subprocess.run([*IOPT, *args], capture_output=True, text=True, check=False, timeout=90, cwd=place, env=env)


def told(kafka: Kafka, place: Path, *args: str, code: int) -> Any:
    done = iopt(kafka, place, *args, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_own_topics_are_created_and_those_of_others_named(empty: Kafka, place: Path) -> None:
    missing = {row["topic"] for row in told(empty, place, "topics", "diff", code=1)}
    assert {"orders", "payment-service.commands", "iopt.saga-inbox", "iopt.dlq.orders"} <= missing

    first = told(empty, place, "topics", "create", code=1)
    left = {row["topic"] for row in first["differences"]}
    assert left == {"orders", "payment-service.commands", "iopt.route.changelog"}
    counts = empty.topics()
    assert {topic.name for topic in OWNED} <= set(counts)
    assert (counts["iopt.saga-inbox"], counts["iopt.dlq.orders"], counts["iopt.saga.changelog"]) == (3, 2, 3)
    assert "orders" not in counts

    empty.create("orders", "payment-service.commands", partitions=5)
    assert told(empty, place, "topics", "create", code=0) == {"created": ["iopt.route.changelog"], "differences": []}
    assert empty.topics()["iopt.route.changelog"] == 5
    assert told(empty, place, "topics", "diff", code=0) == []


def test_other_numbers_of_partitions_and_other_configurations_are_named(empty: Kafka, place: Path) -> None:
    iopt(empty, place, "topics", "create")
    (place / "application.yml").write_text("iopt: {definitions: order.yml, partitions: 6, dlq-partitions: 2}")
    found = told(empty, place, "topics", "diff", code=1)
    inbox = next(row for row in found if row["topic"] == SAGA_INBOX.name)
    assert (inbox["what"], inbox["found"], inbox["expected"]) == ("partitions", 3, 6)
    assert configs(SAGA_INBOX)["cleanup.policy"] == "delete"
    assert iopt(empty, place, "topics", "create").returncode == 1


def test_a_definition_that_is_wrong_is_told_with_its_line(empty: Kafka, place: Path) -> None:
    (place / "order.yml").write_text("saga: order\nversion: 1\nfoo: 1\n")
    refused = iopt(empty, place, "topics", "diff")
    assert refused.returncode == 1
    assert "order.yml:3" in refused.stderr


def published(kafka: Kafka, version: int) -> None:
    definition: Definition = read_definitions(DEFINITION.format(version=version), "order.yml")[0]
    value, headers = DEFINITIONS.codec.encode(definition, Envelope(definition.id, definition.id, 0))
    kafka.write(DEFINITIONS.name, Written(definition.id, value, tuple(headers)))


def test_a_start_takes_the_highest_version_and_the_partition_of_its_id(empty: Kafka, place: Path) -> None:
    iopt(empty, place, "topics", "create")
    refused = iopt(empty, place, "saga", "start", "order", "o-1")
    assert (refused.returncode, refused.stderr) == (
        1,
        "Error: no definition of order is published; known: none\n",
    )
    for version in (1, 10, 9):
        published(empty, version)
    sent = told(empty, place, "saga", "start", "order", "INV/1", "--data", '{"total": 49.90}', code=0)
    assert sent == {"saga_id": "order/INV%2F1", "saga_version": 10, "run": 1}
    (record,) = empty.read_all(SAGA_INBOX.name)
    assert record.key == "order/INV%2F1"
    assert record.partition == partition(b"order/INV%2F1", 3)
    start = SAGA_INBOX.codec.decode(record.value, record.headers)
    assert isinstance(start, Start)
    assert (start.saga_version, start.run, bytes(start.data), start.origin) == (10, 1, b'{"total": 49.90}', None)
