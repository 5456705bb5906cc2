"""Rule S4, `iopt offsets`: positions that were changed or lost are accepted by hand, and a worker goes on so."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from app.wire.partition import partition
from deploy.kafka import local_kafka
from tests.support.kafka import Kafka, wait_for
from tests.support.product import IOPT, SERVICES, Product, event
from tests.support.workers import Process

GROUP = "product"
HOME = 1  # the partition that all orders here have


class Shop:
    """Orders on one partition, a worker that leaves its group when it stops, and the command."""

    def __init__(self, product: Product) -> None:
        self.product, self.kafka = product, product.kafka
        self._number = 0

    def order(self, count: int = 1) -> list[str]:
        """Written; their names."""
        made: list[str] = []
        while len(made) < count:
            name, self._number = f"o-{self._number}", self._number + 1
            if partition(name.encode(), 4) == HOME:
                made.append(name)
        self.kafka.write("orders", *map(event, made))
        return made

    def work(self, *orders: str) -> None:
        """A worker starts these, and stops."""
        worker = self.worker()
        worker.until("task_ready", lambda events: len({told["task"] for told in events}) >= 12)
        self.until_started(*orders)
        assert worker.stop() == 0
        self.until_idle()

    def worker(self) -> Process:
        command = [str(IOPT), "--config", str(self.product.settings), "worker", "--leave"]
        log = self.product.directory / f"worker-{len(self.product.workers)}.log"
        self.product.workers.append(Process(command, log, env=self.product.environment()))
        return self.product.workers[-1]

    def refusal(self) -> str:
        worker = self.worker()
        assert worker.wait(30) == 1
        self.until_idle()
        return str(worker.events("worker_failed")[0]["error"])

    def started(self) -> dict[str, int]:
        """How often the route sent each order on."""
        found: dict[str, int] = {}
        for record in self.kafka.read_all("iopt.saga-inbox"):
            name = (record.key or "").removeprefix("order/")
            found[name] = found.get(name, 0) + 1
        return found

    def until_started(self, *orders: str) -> None:
        def sent(found: list[Any]) -> bool:
            return {f"order/{order}" for order in orders} <= {record.key for record in found}

        self.kafka.read_until("iopt.saga-inbox", sent)

    def until_idle(self) -> None:
        wait_for(lambda: self.kafka.idle(GROUP), "the group to be empty", 30)

    def position(self) -> int:
        return self.kafka.committed(GROUP)["orders", HOME]

    def reset(self, offset: int) -> None:
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": GROUP})
        consumer.commit(offsets=[TopicPartition("orders", HOME, offset)], asynchronous=False)
        consumer.close()

    def iopt(self, *args: str, fault: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(IOPT), "--config", str(self.product.settings), "offsets", *args]
        env = self.product.environment() | {"IOPT_FAULT": fault}
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=90, env=env)

    def told(self, *args: str) -> Any:
        done = self.iopt(*args, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def steps(self, *args: str) -> list[tuple[str, int, int]]:
        """Source, where it goes on, and how many records are lost."""
        return [
            (f"{step['topic']}/{step['partition']}", step["position"], step["expired"])
            for step in self.told(*args)["steps"]
        ]

    def shown(self) -> dict[str, Any]:
        """Of the orders."""
        (row,) = [r for r in self.told("show") if (r["topic"], r["partition"]) == ("orders", HOME)]
        return {name: row[name] for name in ("group", "changelog", "first", "end", "lag", "trouble")}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory: Path = tmp_path_factory.mktemp("shop")
    with local_kafka(directory / "kafka") as bootstrap:
        product = Product(Kafka(bootstrap), directory)
        product.kafka.create("orders", *(f"{service}.commands" for service in SERVICES))
        made = Shop(product)
        made.work(*made.order(2))
        yield made
        for worker in product.workers:
            worker.kill()


def test_s4_a_position_that_somebody_set_is_accepted_ahead_and_behind(shop: Shop) -> None:
    first, before = list(shop.started()), shop.position()
    skipped, wanted = shop.order(), shop.order()
    shop.reset(before + 1)
    assert f"position is {before + 1}, the changelog of route-1 has {before}" in shop.refusal()
    assert shop.shown() == {
        "group": before + 1,
        "changelog": before,
        "first": 0,
        "end": before + 2,
        "lag": 2,
        "trouble": "changed",
    }
    step = ("orders/1", before + 1, 0)
    assert shop.steps("accept") == [step]
    assert "add --apply" in shop.iopt("accept").stdout
    assert shop.shown()["trouble"] == "changed", "a dry run writes nothing"
    assert shop.steps("accept", "--apply") == [step]
    assert shop.steps("accept", "--apply") == []
    assert shop.shown() | {"trouble": None, "lag": 1} == shop.shown()
    shop.work(*wanted)
    assert set(shop.started()) == {*first, *wanted}

    shop.reset(before - 1)
    assert shop.steps("accept", "--apply") == [("orders/1", before - 1, 0)]
    again = shop.order()
    shop.work(*again)
    assert shop.started() == {first[0]: 1, first[1]: 2, skipped[0]: 1, wanted[0]: 2, again[0]: 1}
    acts = [json.loads(record.value or b"") for record in shop.kafka.read_all("iopt.audit")]
    assert [(act["what"], act["target"]) for act in acts] == [("offsets.accept", "orders/1")] * 2


def test_s4_what_is_accepted_is_written_whole_or_not_at_all(shop: Shop) -> None:
    """Killed with everything written but the end of the transaction."""
    before, ahead = shop.position(), shop.started()
    shop.reset(before - 1)
    assert shop.iopt("accept", "--apply", fault="kill@before_end").returncode == -9
    shop.until_idle()
    assert (shop.position(), shop.shown()["trouble"]) == (before - 1, "changed")
    assert "the changelog of route-1 has" in shop.refusal()
    assert shop.steps("accept", "--apply") == [("orders/1", before - 1, 0)]
    last = shop.order()
    shop.work(*last)
    assert sum(shop.started().values()) == sum(ahead.values()) + 2, "the order before, once more, and the last one"
    assert shop.started()[last[0]] == 1


def test_s4_positions_that_the_group_has_lost_are_those_of_the_changelog(shop: Shop) -> None:
    before, done = shop.position(), shop.started()
    shop.kafka.forget_group(GROUP)
    assert shop.shown()["group"] is None
    assert ("orders/1", before, 0) in shop.steps("accept", "--apply")
    assert (shop.position(), shop.steps("accept")) == (before, [])
    fresh = shop.order()
    shop.work(*fresh)
    assert shop.started() == done | {fresh[0]: 1}


def test_s4_records_that_expired_unread_are_given_up_by_hand_and_counted_once(shop: Shop) -> None:
    before = shop.position()
    lost, kept = shop.order(3), shop.order(2)
    shop.kafka.cut("orders", {HOME: before + 3})
    assert f"3 records from {before} on are gone from the log" in shop.refusal()
    assert shop.steps("accept", "--apply") == [], "it is not the group's position that is wrong"
    step = ("orders/1", before + 3, 3)
    assert shop.steps("accept-loss") == [step]
    assert shop.shown()["trouble"] == "expired"
    assert shop.steps("accept-loss", "--apply") == [step]
    assert shop.steps("accept-loss", "--apply") == []

    worker = shop.worker()
    wait_for(lambda: expired(shop) == 3, "the loss to be counted", 30)
    assert "has members" in shop.iopt("accept-loss").stderr
    shop.until_started(*kept)
    assert worker.stop() == 0
    shop.until_idle()
    assert not set(lost) & set(shop.started())

    again = shop.worker()
    (more,) = shop.order()
    shop.until_started(more)
    assert expired(shop) == 0
    assert again.stop() == 0
    shop.until_idle()


def expired(shop: Shop) -> float:
    """As the worker tells Prometheus."""
    try:
        with urllib.request.urlopen(f"{shop.product.url}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return -1
    found = [line for line in text.splitlines() if line.startswith("iopt_records_total{") and 'fate="expired"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in found if 'topic="orders"' in line)


def test_s4_nothing_is_accepted_while_a_worker_is_there(shop: Shop) -> None:
    worker = shop.worker()
    worker.until("task_ready", lambda events: len({told["task"] for told in events}) >= 12)
    for verb in ("accept", "accept-loss"):
        for args in ((verb,), (verb, "--apply")):
            refused = shop.iopt(*args)
            assert (refused.returncode, "group product has members" in refused.stderr) == (1, True), refused.stderr
    assert shop.shown()["trouble"] is None
    assert worker.stop() == 0
    shop.until_idle()


def test_s4_a_position_beyond_the_log_is_not_accepted(shop: Shop) -> None:
    before = shop.position()
    shop.reset(before + 100)
    refused = shop.iopt("accept", "--apply")
    assert refused.returncode == 1
    assert f"orders/1: the position is {before + 100} and the log ends at" in refused.stderr
    shop.reset(before)
    assert shop.steps("accept") == []
