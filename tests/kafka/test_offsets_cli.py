"""Rule S4, `iopt offsets`: positions that were changed or lost are accepted by hand, and a worker goes on so."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from app.wire.partition import partition
from tests.support.kafka import wait_for
from tests.support.product import IOPT, Product, event, product_in
from tests.support.workers import Process

GROUP = "product"
pytestmark = pytest.mark.timeout(300)  # workers and commands start, many times
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
        self.until_ready(worker)
        self.until_started(*orders)
        assert worker.stop() == 0
        self.until_idle()

    def until_ready(self, worker: Process) -> None:
        worker.until("task_ready", lambda events: len({told["task"] for told in events}) >= 12, 60)

    def worker(self) -> Process:
        command = [str(IOPT), "--config", str(self.product.settings), "worker", "--leave"]
        log = self.product.directory / f"worker-{len(self.product.workers)}.log"
        self.product.workers.append(Process(command, log, env=self.product.environment()))
        return self.product.workers[-1]

    def refusal(self) -> str:
        worker = self.worker()
        assert worker.wait(60) == 1
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
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with product_in(tmp_path_factory.mktemp("shop")) as product:
        made = Shop(product)
        made.work(*made.order(2))
        yield made


@pytest.fixture
def shop(opened: Shop) -> Iterator[Shop]:
    """No worker runs, and two orders or more were started."""
    yield opened
    for worker in opened.product.workers:
        worker.kill()
    opened.until_idle()


def test_s4_a_position_that_somebody_set_ahead_is_accepted_and_what_is_skipped_is_never_read(shop: Shop) -> None:
    first, before = list(shop.started()), shop.position()
    skipped, wanted = shop.order(), shop.order()
    shop.reset(before + 1)
    assert f"position is {before + 1}, the changelog of route-1 has {before}" in shop.refusal()
    told = {"group": before + 1, "changelog": before, "first": 0, "end": before + 2, "lag": 2, "trouble": "changed"}
    step = ("orders/1", before + 1, 0)
    assert shop.steps("accept") == [step]
    assert shop.shown() == told, "a dry run writes nothing"
    assert shop.steps("accept", "--apply") == [step]
    assert shop.steps("accept", "--apply") == []
    shop.work(*wanted)
    assert set(shop.started()) == {*first, *wanted}
    assert not set(skipped) & set(shop.started())


def test_s4_a_position_that_somebody_set_back_is_accepted_and_read_again(shop: Shop) -> None:
    before, done = shop.position(), shop.started()
    shop.reset(before - 1)
    assert shop.steps("accept", "--apply") == [("orders/1", before - 1, 0)]
    (fresh,) = shop.order()
    shop.work(fresh)
    found = shop.started()
    assert sum(found.values()) == sum(done.values()) + 2, "the order before, once more, and the fresh one"
    assert found[fresh] == 1
    act = json.loads(shop.kafka.read_all("iopt.audit")[-1].value or b"")
    assert (act["what"], act["target"], act["result"]) == ("offsets.accept", "orders/1", "applied")


def test_s4_what_is_accepted_is_written_whole_or_not_at_all(shop: Shop) -> None:
    """Killed with everything written but the end of the transaction."""
    before, done = shop.position(), shop.started()
    shop.reset(before - 1)
    assert shop.iopt("accept", "--apply", fault="kill@before_end").returncode == -9
    shop.until_idle()
    assert (shop.position(), shop.shown()["trouble"]) == (before - 1, "changed")
    assert shop.steps("accept", "--apply") == [("orders/1", before - 1, 0)]
    (fresh,) = shop.order()
    shop.work(fresh)
    assert sum(shop.started().values()) == sum(done.values()) + 2


def test_s4_positions_that_the_group_has_lost_are_those_of_the_changelog(shop: Shop) -> None:
    before, done = shop.position(), shop.started()
    shop.kafka.forget_group(GROUP)
    assert ("orders/1", before, 0) in shop.steps("accept", "--apply")
    assert (shop.position(), shop.steps("accept")) == (before, [])
    (fresh,) = shop.order()
    shop.work(fresh)
    assert shop.started() == done | {fresh: 1}


def test_s4_records_that_expired_unread_are_given_up_by_hand_and_counted_once(shop: Shop) -> None:
    before = shop.position()
    lost, kept = shop.order(3), shop.order(2)
    shop.kafka.cut("orders", {HOME: before + 3})
    step = ("orders/1", before + 3, 3)
    assert shop.steps("accept-loss") == [step]
    assert shop.shown()["trouble"] == "expired"
    assert shop.steps("accept-loss", "--apply") == [step]
    assert shop.steps("accept-loss", "--apply") == []
    for counted, orders in ((3, kept), (0, None)):
        worker = shop.worker()
        shop.until_ready(worker)
        shop.until_started(*(orders or shop.order()))
        until_expired(shop, counted)
        assert worker.stop() == 0
        shop.until_idle()
    assert not set(lost) & set(shop.started())


def until_expired(shop: Shop, records: int) -> None:
    wait_for(lambda: expired(shop) == records, f"{records} lost records to be counted")


def expired(shop: Shop) -> float:
    """As the worker tells Prometheus."""
    with urllib.request.urlopen(f"{shop.product.url}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found = [line for line in text.splitlines() if line.startswith("iopt_records_total{") and 'fate="expired"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in found if 'topic="orders"' in line)


def test_s4_nothing_is_accepted_while_a_worker_is_there(shop: Shop) -> None:
    worker = shop.worker()
    shop.until_ready(worker)
    for args in (("accept",), ("accept", "--apply"), ("accept-loss", "--apply")):
        refused = shop.iopt(*args)
        assert (refused.returncode, "group product has members" in refused.stderr) == (1, True), refused.stderr
    assert shop.shown()["trouble"] is None
    assert worker.stop() == 0


def test_s4_a_position_beyond_the_log_is_not_accepted(shop: Shop) -> None:
    before = shop.position()
    shop.reset(before + 100)
    refused = shop.iopt("accept", "--apply")
    assert refused.returncode == 1
    assert f"orders/1: the position is {before + 100} and the log ends at" in refused.stderr
    shop.reset(before - 1)
    assert "nothing was written: add --apply" in shop.iopt("accept").stdout
    shop.reset(before)
    assert shop.iopt("accept").stdout == "nothing to accept\n"
