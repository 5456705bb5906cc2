"""The clusters that faults are tried on: three nodes, and one behind a proxy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import Brokers, proxied_broker, three_brokers
from tests.support.kafka import Kafka, wait_for


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    with three_brokers(tmp_path_factory.mktemp("brokers")) as started:
        yield started


def test_of_three_brokers_two_take_and_give_what_is_written(brokers: Brokers) -> None:
    kafka = Kafka(brokers.bootstrap)
    kafka.create("orders")
    kafka.write("orders", *[(f"o-{n}", b"before") for n in range(20)])
    assert {part.replicas for part in kafka.parts()} == {3}
    brokers.nodes[2].kill()
    wait_for(lambda: 2 not in {part.leader for part in kafka.parts()}, "others to lead")
    kafka.write("orders", *[(f"o-{n}", b"after") for n in range(20)])
    assert len(kafka.read_all("orders")) == 40
    brokers.nodes[2].start()
    brokers.until_whole(kafka)


def test_clients_of_the_second_door_go_through_the_proxy(tmp_path: Path) -> None:
    with proxied_broker(tmp_path) as cluster:
        through, past, between = Kafka(cluster.through), Kafka(cluster.bootstrap), cluster.proxy
        through.create("orders", partitions=1)
        through.write("orders", ("o-1", b"through"))
        between.cut()
        past.write("orders", ("o-2", b"past"))
        assert [record.value for record in past.read_all("orders")] == [b"through", b"past"]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", between.port))
        between.heal()
        through.write("orders", ("o-3", b"again"))
