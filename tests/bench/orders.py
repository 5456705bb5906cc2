"""W5: the product's own order saga, by `iopt worker` with its metrics on: first the starts, then the replies.

Both are preloaded while no worker runs. The definition is the demo's, but with time-outs that outlast the preloading.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil
from msgspec import Raw

from app.domain.sagas.ids import command_id
from app.domain.sagas.messages import Reply, Start
from app.domain.sagas.saga_state import State
from app.wire.codec import Envelope
from app.wire.topics import SAGA_EVENTS, SAGA_INBOX, SAGA_REPLIES, Topic
from deploy.demo import orders, shop, stage
from deploy.kafka import ports
from tests.bench.cluster import Cluster, Failed, Sendable
from tests.bench.process import STOP_S, used, wait_for_quiet
from tests.bench.run import LIMIT_S, LOOK_S

GROUP = "iopt-demo"
REFUSED_OF = 33  # one saga of so many has its payment refused
DONE = ("VALIDATE_INVENTORY", "PROCESS_PAYMENT", "UPDATE_INVENTORY", "INITIATE_FULFILLMENT")
Move = tuple[str, str, str]  # step, action, outcome


class Phase(NamedTuple):
    what: str
    records: int
    rate: float
    own_us: float
    broker_us: float
    rss_mb: float


class Ended(msgspec.Struct):
    saga_id: str
    state: str


def starts(count: int, now_ms: int) -> Iterator[Sendable]:
    for order in orders.orders(5, count):
        data = Raw(order.json().encode())
        saga = f"order/{order.order_id}"
        start = Start(saga_id=saga, saga="order", saga_version=1, key=order.order_id, data=data, at=now_ms)
        yield sendable(SAGA_INBOX, saga, start, now_ms)


def replies(count: int, now_ms: int) -> Iterator[Sendable]:
    """All first replies, then all second ones: the sagas run side by side."""
    scripts = [(f"order/{order.order_id}", script(n)) for n, order in enumerate(orders.orders(5, count))]
    for turn in range(len(DONE)):
        for saga, moves in scripts:
            if turn < len(moves):
                step, action, outcome = moves[turn]
                command = command_id(saga, step, action, 1, 1).text
                data = Raw(b'{"reference":"r-%d","confirmed":true}' % turn)
                reply = Reply(command_id=command, saga_id=saga, outcome=outcome, data=data, duration_ms=12, at=now_ms)
                yield sendable(SAGA_REPLIES, saga, reply, now_ms)


def script(n: int) -> list[Move]:
    if n % REFUSED_OF:
        return [(step, "do", "done") for step in DONE]
    return [(DONE[0], "do", "done"), (DONE[1], "do", "refused"), (DONE[0], "undo", "done")]


def sendable(topic: Topic, saga: str, value: Start | Reply, now_ms: int) -> Sendable:
    body, headers = topic.codec.encode(value, Envelope(f"bench/{saga}/{now_ms}", saga, now_ms, "/bench"))
    return saga.encode(), body, headers


class Product:
    """`iopt worker`, started again for each phase on the same directory."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster, self.directory = cluster, directory
        definitions = directory / "definitions"
        definitions.mkdir(parents=True)
        written = Path(stage.CHECKOUT, "deploy/demo/definitions/order.yaml").read_text()
        (definitions / "order.yaml").write_text(re.sub(r"timeout: \d+s", "timeout: 10m", written))
        self.settings = directory / "application.yml"
        self.settings.write_text(stage.SETTINGS.read_text().replace("deploy/demo/definitions", str(definitions)))
        self._environment = os.environ | {
            "IOPT_KAFKA": cluster.bootstrap,
            "IOPT_PORT": str(ports.free(1)[0]),
            "IOPT_DATA_DIR": str(directory / "worker"),
        }

    def command(self, *words: str) -> list[str]:
        return [str(Path(sys.executable).with_name("iopt")), "--config", str(self.settings), *words]

    def create_topics(self) -> None:
        """Raises Failed."""
        self.cluster.create(*shop.THEIRS)
        made = subprocess.run(
            self.command("topics", "create"), env=self._environment, capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise Failed(f"iopt topics create: {made.stderr}")

    @contextmanager
    def running(self, log: Path) -> Iterator[psutil.Popen]:
        with log.open("wb") as out:
            worker = psutil.Popen(self.command("worker", "--leave"), env=self._environment, stdout=out, stderr=out)
        try:
            yield worker
        finally:
            worker.terminate()
            worker.wait(STOP_S)


def order_saga(cluster: Cluster, count: int) -> list[Phase]:
    """The topics' names are the product's: they, its group and its state are gone afterwards. Raises Failed."""
    directory = cluster.runs / "w5"
    shutil.rmtree(directory, ignore_errors=True)
    try:
        return phases(Product(cluster, directory), count)
    finally:
        forget(cluster)


def forget(cluster: Cluster) -> None:
    """The product's topics and positions, so that the next one begins anew."""
    cluster.delete_like("iopt.", *shop.THEIRS)
    cluster.forget_group(GROUP)


def phases(product: Product, count: int) -> list[Phase]:
    """Raises Failed."""
    cluster = product.cluster
    product.create_topics()
    found = []
    for topic, load in ((SAGA_INBOX, starts), (SAGA_REPLIES, replies)):
        sent = cluster.send(topic.name, load(count, time.time_ns() // 1_000_000))
        wait_for_quiet()
        with product.running(product.directory / f"{topic.name}.log") as worker:
            found.append(measured(topic.name, sent, cluster, worker, cluster.committed(GROUP, topic.name)))
    ended = {fact.saga_id for fact in facts(cluster) if fact.state in (State.COMPLETED, State.COMPENSATED)}
    if len(ended) != count:
        raise Failed(f"w5: {len(ended)} of {count} sagas have ended")
    return found


def facts(cluster: Cluster) -> Iterator[Ended]:
    decode = msgspec.json.Decoder(Ended).decode
    return (decode(value) for _, value in cluster.records(SAGA_EVENTS.name))


def measured(what: str, records: int, cluster: Cluster, worker: psutil.Popen, committed: Callable[[], int]) -> Phase:
    """From the first look that finds something committed to the last record; what was found at first is not counted."""
    end = time.time() + LIMIT_S
    begun: tuple[int, float, float, float] | None = None
    rss = 0
    broker = psutil.Process(cluster.broker_pid)
    while (at := committed()) < records:
        if time.time() > end or worker.poll() is not None:
            raise Failed(f"w5: {at} of {records} records of {what} committed")
        if at and begun is None:
            begun = at, time.time(), used(worker.cpu_times()), used(broker.cpu_times())
        rss = max(rss, worker.memory_info().rss)
        time.sleep(LOOK_S)
    if begun is None:
        raise Failed(f"w5: {records} records of {what} are too few to measure")
    counted, span = records - begun[0], time.time() - begun[1]
    own, brokers = used(worker.cpu_times()) - begun[2], used(broker.cpu_times()) - begun[3]
    return Phase(what, counted, counted / span, 1e6 * own / counted, 1e6 * brokers / counted, rss / 1e6)
