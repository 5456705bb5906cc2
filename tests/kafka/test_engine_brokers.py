"""Rule X4 with three brokers, of which one is away."""

from __future__ import annotations

from pathlib import Path

from deploy.kafka import ports
from tests.support.accounts import accounts
from tests.support.brokers import three_brokers
from tests.support.kafka import Kafka
from tests.support.toy import Addition
from tests.support.workers import Workers


def test_x4_a_worker_starts_goes_on_and_makes_its_topics_though_a_broker_is_away(prefix: str, tmp_path: Path) -> None:
    """The dead one is in the metadata for some seconds more, and every other question goes to it first."""
    with three_brokers(tmp_path / "kafka") as brokers, accounts(Kafka(brokers.bootstrap), prefix, tmp_path) as row:
        brokers.nodes[1].kill()
        worker = row.workers.ready()
        row.add(*[Addition(f"a-{n % 20}", 1) for n in range(500)])
        row.until_summed()
        brokers.nodes[1].start()
        brokers.until_whole(row.kafka)
        brokers.nodes[2].kill()
        row.add(*[Addition(f"a-{n % 20}", 1) for n in range(500)])
        row.until_summed(within_s=60)
        assert worker.code is None
        assert worker.stop() == 0
        row.assert_exact()


def test_x4_without_any_broker_a_worker_ends_with_4_to_be_started_again(prefix: str, tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{ports.free(1)[0]}"
    worker = Workers(nowhere, prefix, tmp_path).start()
    assert worker.wait() == 4
    assert f"no Kafka broker answers at {nowhere}" in worker.events("worker_failed")[0]["error"]
