"""W3: the step of W2 at 1,000 records a second; from the input's send to the output at a read_committed consumer."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import msgspec
from confluent_kafka import TopicPartition

from tests.bench import workloads
from tests.bench.cluster import Cluster
from tests.bench.contender import Contender
from tests.bench.run import Failed, Process, running

RATE = 1_000
WARM_UP, LEFT_OUT = 1_000, 2_000  # records before the clock runs, and after
SAGAS = 4_200
LIMIT_S = 60.0


class Caused(msgspec.Struct):
    cause: str


class Sent(msgspec.Struct):
    id: str


class Latency(NamedTuple):
    p50_ms: float
    p99_ms: float
    own_percent: float  # of one core
    broker_percent: float
    wrong: str


class Watch(Thread):
    """Notes when the output of each input became readable."""

    def __init__(self, cluster: Cluster, topics: list[str]) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, float] = {}
        self.twice = 0
        self.stopping = Event()
        self._consumer = cluster.consumer({"fetch.wait.max.ms": 20})
        self._consumer.assign(
            [TopicPartition(topic, number, 0) for topic in topics for number in range(workloads.PARTITIONS)]
        )

    def run(self) -> None:
        decode = msgspec.json.Decoder(Caused).decode
        while not self.stopping.is_set():
            for message in self._consumer.consume(500, 0.002):
                cause = decode(message.value() or b"").cause
                self.twice += cause in self.seen
                self.seen.setdefault(cause, time.time())
        self._consumer.close()


class Pacer:
    def __init__(self, cluster: Cluster, topic: str) -> None:
        self.sent: dict[str, float] = {}
        self._producer, self._topic = cluster.producer(**{"linger.ms": 0}), topic
        self._id = msgspec.json.Decoder(Sent).decode

    def send(self, pairs: list[workloads.Pair], rate: float) -> None:
        begin = time.time()
        for n, (key, value) in enumerate(pairs):
            while (wait := begin + n / rate - time.time()) > 0:
                time.sleep(min(wait, 0.001))
            self.sent[self._id(value).id] = time.time()
            self._producer.produce(self._topic, value, key)
            self._producer.poll(0)
        self._producer.flush(10)


def latency(contender: Contender, cluster: Cluster, records: int, directory: Path) -> Latency:
    """`records` are paced after a warm-up as fast as it goes."""
    pairs = list(workloads.saga_records(SAGAS * (records + WARM_UP) // 20_000))[: records + WARM_UP]
    inbox = f"bench-w3-{time.time_ns():x}"
    cluster.create(inbox)
    with running(contender, cluster, "w3", inbox, directory) as process:
        watch, pacer = Watch(cluster, list(process.outputs)), Pacer(cluster, inbox)
        watch.start()
        pacer.send(pairs[:WARM_UP], 1e6)
        until_seen(watch, process, WARM_UP)
        before = process.sample()
        pacer.send(pairs[WARM_UP:], RATE)
        until_seen(watch, process, len(pairs))
        after = process.sample()
        watch.stopping.set()
        watch.join()
    cluster.delete_like(inbox)
    late = sorted(watch.seen[at] - pacer.sent[at] for at in list(pacer.sent)[WARM_UP + LEFT_OUT :])
    span = after.at - before.at
    return Latency(
        1e3 * late[len(late) // 2],
        1e3 * late[len(late) * 99 // 100],
        100 * (after.own - before.own) / span,
        100 * (after.broker - before.broker) / span,
        f"{watch.twice} outputs twice" if watch.twice else "",
    )


def until_seen(watch: Watch, process: Process, count: int) -> None:
    """Raises Failed."""
    end = time.monotonic() + LIMIT_S
    while len(watch.seen) < count:
        if time.monotonic() > end:
            raise Failed(f"{process.contender.name}: {count - len(watch.seen)} of {count} outputs missing")
        process.sample()
        time.sleep(0.05)
