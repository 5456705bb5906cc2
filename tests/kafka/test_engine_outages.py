"""A worker whose topics or whose broker go away: rule X4."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from deploy.kafka import Broker
from tests.support.accounts import Accounts, accounts
from tests.support.kafka import Kafka, wait_for
from tests.support.toy import Addition


def test_x4_when_a_topic_is_deleted_the_worker_stops_and_names_it(
    toy_row: Accounts, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One that it writes to (nothing is dead-lettered for it; once it is back, all goes on), and one that it reads."""
    with accounts(toy_row.kafka, f"{prefix}other.", tmp_path_factory.mktemp("other")) as other:
        writing, reading = toy_row.workers.start(), other.workers.ready()
        toy_row.add(*[Addition(f"a-{n}", 1) for n in range(20)])
        toy_row.until_summed()
        toy_row.kafka.delete(toy_row.sums_topic, other.additions)
        toy_row.kafka.write(toy_row.additions, ("a-1", msgspec.json.encode(Addition("a-1", 1))))
        for worker, topic in ((writing, toy_row.sums_topic), (reading, other.additions)):
            assert worker.wait(60) == 4
            assert topic in worker.events("worker_failed")[0]["error"]
    refused = toy_row.workers.start()
    assert refused.wait() == 1
    assert f"topics missing: {toy_row.sums_topic}" in refused.events("worker_refused")[0]["error"]
    toy_row.kafka.create(toy_row.sums_topic)
    toy_row.workers.ready()
    toy_row.until_summed(1)
    assert toy_row.sums()["a-1"][0].additions == 2
    assert toy_row.kafka.read_all(toy_row.dead_letters) == []


def test_x4_a_broker_that_goes_and_comes_back_costs_nothing(prefix: str, tmp_path: Path) -> None:
    """The worker waits for it, or stops and is started again."""
    broker = Broker(tmp_path / "broker", heap="128m")
    broker.start()
    try:
        with accounts(Kafka(broker.bootstrap), prefix, tmp_path) as row:
            worker = row.workers.ready()
            row.add(*[Addition(f"a-{n % 20}", 1) for n in range(2_000)])
            row.until_summed(1)
            broker.kill()
            broker.start()
            again = Accounts(Kafka(broker.bootstrap), prefix, row.workers)
            again.added = row.added
            again.add(*[Addition(f"a-{n % 20}", 1) for n in range(100)])
            wait_for(lambda: worker.code is not None or total(again) == again.added, "records, or the worker's end", 60)
            if worker.code is not None:
                assert worker.code == 4
                worker = row.workers.ready()
            again.until_summed(within_s=60)
            assert worker.stop() == 0
            again.assert_exact()
    finally:
        broker.stop()


def total(row: Accounts) -> int:
    return sum(map(len, row.sums().values()))
