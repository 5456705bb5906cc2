"""The step of W2 under an open load: from each record's intended send to its output at a read_committed consumer.

A record that is sent late because the machine is busy is late from its intended time on (coordinated omission).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count as numbers
from itertools import islice
from threading import Event, Thread
from typing import NamedTuple

import msgspec
from confluent_kafka import TopicPartition

from tests.bench.cluster import Cluster, Failed
from tests.bench.contender import Contender
from tests.bench.process import Job, Process, running
from tests.bench.sender import Sender, records

RATE = 1_000
WARM_UP, LEFT_OUT_S = 1_000, 2.0  # records before the clock runs; and seconds after
HOT = 100_000  # records before a high load
LIMIT_S = 60.0
KEPT_UP_S = 1.0  # behind the last record: what is sustained
STEP = 0.85
LEVELS = (10, 50, 80)


class Caused(msgspec.Struct):
    cause: str


class Sent(msgspec.Struct):
    id: str


class Latency(NamedTuple):
    rate: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    own_percent: float  # of one core
    broker_percent: float
    late_ms: float  # of the sender
    wrong: str

    @property
    def percentiles(self) -> tuple[float, float, float]:
        return self.p50_ms, self.p99_ms, self.p999_ms


class Seen(NamedTuple):
    number: int  # of the record that caused it
    at: float
    partition: int


class Watch(Thread):
    """Notes when the output of each record became readable."""

    def __init__(self, cluster: Cluster, process: Process) -> None:
        super().__init__(daemon=True)
        self.waiting: dict[str, int] = {}
        self.seen: list[Seen] = []
        self.unknown = 0
        self.stopping = Event()
        self._consumer = cluster.consumer({"fetch.wait.max.ms": 20})
        everywhere = range(process.job.partitions)
        self._consumer.assign([TopicPartition(topic, n, 0) for topic in process.outputs for n in everywhere])

    def run(self) -> None:
        decode = msgspec.json.Decoder(Caused).decode
        while not self.stopping.is_set():
            for message in self._consumer.consume(500, 0.002):
                number = self.waiting.pop(decode(message.value() or b"").cause, None)
                if number is None:
                    self.unknown += 1
                else:
                    self.seen.append(Seen(number, time.time(), message.partition() or 0))
        self._consumer.close()


class Load:
    """Stretches of records, one after the other, on one running contender."""

    def __init__(self, process: Process, sender: Sender, watch: Watch, sagas: int) -> None:
        self.process, self.sender, self.watch = process, sender, watch
        decode = msgspec.json.Decoder(Sent).decode
        self._ids = (decode(value).id for _, value in records(sagas))

    def begin(self, count: int, rate: float) -> float:
        self.watch.seen = []
        self.watch.waiting |= zip(islice(self._ids, count), numbers())
        return self.sender.begin(count, rate)

    def until_seen(self, limit_s: float = LIMIT_S) -> None:
        """Raises Failed."""
        end = time.monotonic() + limit_s
        while self.watch.waiting:
            if time.monotonic() > end:
                missing = f"{len(self.watch.waiting)} outputs missing, {self.watch.unknown} not asked for"
                raise Failed(f"{self.process.contender.name}: {missing}")
            time.sleep(0.05)

    def flood(self, count: int) -> float:
        """As fast as it goes; returns records a second."""
        begin = self.begin(count, 0)
        self.sender.ended()
        self.until_seen()
        return count / (self.watch.seen[-1].at - begin)

    def paced(self, rate: float, seconds: float) -> tuple[Latency, float]:
        """What there was, and how long after the last record its output came."""
        count, before = int(rate * seconds), self.process.sample()
        begin = self.begin(count, rate)
        late_ms = self.sender.ended()
        self.until_seen()
        after = self.process.sample()
        behind = self.watch.seen[-1].at - begin - seconds
        first, span = int(rate * min(LEFT_OUT_S, seconds / 4)), after.at - before.at
        waits = sorted(seen.at - begin - seen.number / rate for seen in self.watch.seen if seen.number >= first)
        p50, p99, p999 = (1e3 * waits[int(len(waits) * part)] for part in (0.5, 0.99, 0.999))
        own, broker = 100 * (after.own - before.own) / span, 100 * (after.broker - before.broker) / span
        wrong = f"{self.watch.unknown} outputs twice" if self.watch.unknown else ""
        return Latency(rate, p50, p99, p999, own, broker, late_ms, wrong), behind


@contextmanager
def loaded(process: Process, sagas: int) -> Iterator[Load]:
    watch = Watch(process.cluster, process)
    watch.start()
    try:
        with Sender(process.cluster.bootstrap, process.job.inbox, sagas) as sender:
            yield Load(process, sender, watch, sagas)
    finally:
        watch.stopping.set()
        watch.join()


@contextmanager
def open_load(contender: Contender, cluster: Cluster) -> Iterator[Load]:
    job = Job("w2", f"bench-load-{time.time_ns():x}")
    cluster.create(job.inbox)
    with running(contender, cluster, job) as process, loaded(process, 0) as load:
        yield load
    cluster.delete_like(job.inbox)


def latency(contender: Contender, cluster: Cluster, seconds: float) -> Latency:
    """W3."""
    with open_load(contender, cluster) as load:
        load.flood(WARM_UP)
        return load.paced(RATE, seconds)[0]


class Levels(NamedTuple):
    most: float  # the highest rate that it kept up with
    at: dict[int, Latency]  # by percent of that


def levels(contender: Contender, cluster: Cluster, seconds: float, hot: int) -> Levels:
    """Everything in one process, so that it is warm."""
    with open_load(contender, cluster) as load:
        load.flood(hot)
        most = sustained(load, load.flood(hot), seconds)
        return Levels(most, {percent: load.paced(most * percent / 100, seconds)[0] for percent in LEVELS})


def sustained(load: Load, rate: float, seconds: float) -> float:
    """From `rate` down to what is kept up with: sender and reader of this harness take their share of the machine."""
    while load.paced(rate, seconds)[1] > KEPT_UP_S:
        rate *= STEP
    return rate
