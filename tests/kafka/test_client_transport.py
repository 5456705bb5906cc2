"""The way to the fleet through a real Kafka keeps the promises that the one in memory keeps."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client.kafka import KafkaTransport, connect
from app.client.scope import Who
from deploy.kafka import Broker
from tests.support.kafka import Kafka, wait_for
from tests.support.transport_suite import HEADERS, OUTCOMES, TransportSuite, Ways

STATES = "iopt.breaker-states"


class TestKafkaTransport(TransportSuite):
    @pytest.fixture
    def ways(self, tmp_path: Path) -> Iterator[Ways]:
        broker, opened = Broker(tmp_path / "broker"), []
        broker.start()
        kafka = Kafka(broker.bootstrap)
        kafka.create(OUTCOMES, STATES, partitions=1)

        def made() -> KafkaTransport:
            opened.append(KafkaTransport(broker.bootstrap, request_timeout_ms=2_000))
            return opened[-1]

        def sent() -> list[tuple[str | None, bytes | None, dict[str, bytes]]]:
            return [(record.key, record.value, dict(record.headers)) for record in kafka.read_all(OUTCOMES)]

        yield Ways(made, lambda key, value: kafka.write(STATES, (key, value)), sent, broker.kill)
        for each in opened:
            each.close(100)
        broker.kill()

    def test_what_is_for_a_topic_that_is_not_there_holds_up_nothing_else(self, ways: Ways) -> None:
        way = ways.open()
        way.send("iopt.not-made-yet", b"payment-service", b"1", HEADERS)
        way.send(OUTCOMES, b"payment-service", b"2", HEADERS)
        way.close(60_000)
        assert ways.sent() == [("payment-service", b"2", dict(HEADERS))]


def test_a_fleet_that_is_closed_leaves_no_thread_and_no_connection_behind(kafka: Kafka) -> None:
    before = set(threading.enumerate())
    fleet = connect(kafka.bootstrap, Who("order-service", "order-1"))
    assert fleet.ready.wait(60)
    fleet.close()
    fleet.close()
    wait_for(lambda: not set(threading.enumerate()) - before, "all threads to end", 30)
