"""Kafka as it is run in earnest: three nodes, everything three times, two of them enough to write."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from deploy.kafka import Broker, ports
from deploy.kafka.broker import make_archive
from deploy.kafka.kit import KAFKA_4, Release, prepare
from tests.support.kafka import Kafka, wait_for
from tests.support.proxy import Proxy, proxy

HEAP = "256m"
NODES = 3
THREE_TIMES = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "replica.lag.time.max.ms": "4000",
}


class Brokers:
    """Nodes 1 to 3, each broker and controller in one."""

    def __init__(self, directory: Path, release: Release = KAFKA_4) -> None:
        self._release = release
        controllers = dict(enumerate(ports.free(NODES), 1))
        voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in controllers.items())
        self.nodes = {
            node: Broker(
                directory / str(node), heap=HEAP, properties={"controller.quorum.voters": voters}, release=release
            )
            for node in controllers
        }
        for node, broker in self.nodes.items():
            broker.controller_port = controllers[node]
            broker.properties = {**broker.properties, **THREE_TIMES, "node.id": str(node)}

    @property
    def bootstrap(self) -> str:
        return ",".join(broker.bootstrap for broker in self.nodes.values())

    def start(self) -> None:
        """All at once: none of them serves before a majority is there."""
        kit = prepare(self._release)
        if not kit.archive.exists():
            make_archive(kit)
        for node, broker in self.nodes.items():
            lay_out(kit.formatted, broker.directory / "logs", node)
        with ThreadPoolExecutor(NODES) as starting:
            list(starting.map(Broker.start, self.nodes.values()))

    def stop(self) -> None:
        for broker in self.nodes.values():
            broker.kill()

    def whole(self, kafka: Kafka) -> bool:
        """Every replica of every partition is in sync."""
        return all(part.in_sync == part.replicas for part in kafka.parts())

    def until_whole(self, kafka: Kafka, within_s: float = 60.0) -> None:
        wait_for(lambda: self.whole(kafka), "all replicas to be in sync", within_s)


def lay_out(formatted: Path, logs: Path, node: int) -> None:
    """A formatted folder under the node's own number: a folder of another node's identity is refused."""
    shutil.copytree(formatted, logs)
    meta = logs / "meta.properties"
    identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    said = re.sub(r"node\.id=.*", f"node.id={node}", meta.read_text())
    meta.write_text(re.sub(r"directory\.id=.*", f"directory.id={identity}", said))


@contextmanager
def three_brokers(directory: Path, release: Release = KAFKA_4) -> Iterator[Brokers]:
    brokers = Brokers(directory, release)
    try:
        brokers.start()
        yield brokers
    finally:
        brokers.stop()


class Proxied(NamedTuple):
    """`bootstrap` leads past the proxy, `through` leads through it."""

    broker: Broker
    proxy: Proxy

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap

    @property
    def through(self) -> str:
        return f"127.0.0.1:{self.proxy.port}"


@contextmanager
def proxied_broker(directory: Path, release: Release = KAFKA_4) -> Iterator[Proxied]:
    """One broker with two doors: its own port, and one whose clients only ever hear of the proxy's port."""
    broker = Broker(directory, release=release)
    inner, outer = ports.free(2)
    doors = {"PLAINTEXT": broker.port, "PROXIED": inner}
    broker.properties = {
        "listeners": listeners(doors | {"CONTROLLER": broker.controller_port}),
        "advertised.listeners": listeners(doors | {"PROXIED": outer}),
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
    }
    with proxy(outer, inner) as between:
        try:
            broker.start()
            yield Proxied(broker, between)
        finally:
            broker.kill()


def listeners(doors: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in doors.items())


@contextmanager
def frozen(broker: Broker) -> Iterator[None]:
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)
