"""`python -m tests.faults.soak [MINUTES]`: half the maximum load, a kill every five minutes; writes docs/soak.md.

Two workers share the tasks; one is killed and started again, the other must not grow.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import psutil

from deploy.kafka.broker import Broker
from tests.faults.run import WORK
from tests.faults.soak_load import Books, Offered
from tests.faults.soak_page import page
from tests.support.kafka import Kafka, wait_for
from tests.support.toy import toy
from tests.support.workers import Process, Workers

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "soak.md"
KILL_S, SAMPLE_S, MEASURED = 300.0, 10.0, 150_000
KEPT_BYTES, SEGMENT_BYTES = 128 << 20, 32 << 20  # of each partition: hours would fill a disk


class Sample(NamedTuple):
    """`steady_*` is the worker that is never killed; latencies in ms over the time since the last sample."""

    seconds: float
    steady_rss_mb: float
    steady_files: int
    steady_threads: int
    killed_rss_mb: float
    broker_rss_mb: float
    lag: int
    p50_ms: float
    p99_ms: float
    records: int
    kills: int


class Soak:
    def __init__(self, broker: Broker, directory: Path, seed: int) -> None:
        self.broker, self.kafka = broker, Kafka(broker.bootstrap)
        self.dice = random.Random(seed)
        self.row = toy("soak.")
        self.workers = Workers(broker.bootstrap, "soak.", directory, session_s=10.0, transaction_ms=10_000)
        self.books = Books(self.kafka, self.row.sums.name)
        self.offered = Offered(broker.bootstrap, self.row.additions.name, seed)
        self.kills = 0

    def prepare(self) -> None:
        topics = (self.row.additions.name, self.row.sums.name)
        self.kafka.create(*topics, retention_bytes=str(KEPT_BYTES), segment_bytes=str(SEGMENT_BYTES))
        self.kafka.create(self.row.alarms.name)

    def start(self) -> tuple[Process, Process]:
        return self.workers.start(data="steady"), self.workers.start(data="killed")

    def maximum(self) -> float:
        """Records a second that both workers do, of what lies there before they start."""
        self.offered.at_once(MEASURED)
        workers = self.start()
        wait_for(lambda: self.books.read > 0, "the first sums", 60)
        begun, before = monotonic(), self.books.read
        wait_for(lambda: self.books.read >= MEASURED, "the last sums", 300)
        found = (MEASURED - before) / (monotonic() - begun)
        for worker in workers:
            worker.stop()
        return found

    def lag(self) -> int:
        ends = self.kafka.end_offsets(self.row.additions.name)
        done = self.kafka.committed("soak.group")
        return sum(ends.values()) - sum(at for (topic, _), at in done.items() if topic == self.row.additions.name)

    def sample(self, seconds: float, steady: Process, killed: Process) -> Sample:
        p50, p99 = self.books.latency(self.offered)
        with (of := psutil.Process(steady.pid)).oneshot():
            mine = (megabytes(of), of.num_fds(), of.num_threads())
        other = megabytes(psutil.Process(killed.pid)) if killed.code is None else 0.0
        broker = megabytes(psutil.Process(self.broker.pid))
        lag, records = self.lag(), self.offered.sent
        return Sample(seconds, *mine, other, broker, lag, p50, p99, records, self.kills)

    def run(self, minutes: float, rate: float, out: Path) -> list[Sample]:
        """Samples, also in `out` as they are taken."""
        steady, killed = self.start()
        for worker in (steady, killed):
            worker.until("task_ready", within_s=60)
        samples, begun, never = list[Sample](), monotonic(), threading.Event()
        every = min(KILL_S, minutes * 60 / 4)
        next_kill = every
        with out.open("w", newline="") as file, self.offered.steadily(rate):
            lines = csv.writer(file)
            lines.writerow(Sample._fields)
            while (seconds := monotonic() - begun) < minutes * 60:
                never.wait(SAMPLE_S)
                if seconds > next_kill:
                    next_kill, self.kills = next_kill + every, self.kills + 1
                    killed.kill()
                    killed = self.workers.start(data="killed")
                assert steady.code is None, f"the steady one ended with {steady.code}:\n{steady.tail()}"
                samples.append(self.sample(seconds, steady, killed))
                lines.writerow(samples[-1])
                file.flush()
        wait_for(lambda: self.books.read >= self.offered.sent, "the last sums", 120)
        assert [steady.stop(), killed.stop()] == [0, 0]
        return samples


def megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


@contextmanager
def soaking(directory: Path, seed: int) -> Iterator[Soak]:
    broker = Broker(directory / "kafka", heap="512m")
    broker.start()
    soak = Soak(broker, directory, seed)
    soak.prepare()
    try:
        with soak.books.reading():
            yield soak
    finally:
        soak.workers.end()
        broker.stop()


def main() -> int:
    minutes, seed = float(sys.argv[1]) if sys.argv[1:] else 120.0, random.randrange(1_000_000)
    directory = WORK.parent / "soak"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    load = os.getloadavg()[0]
    with soaking(directory, seed) as soak:
        maximum = soak.maximum()
        say(f"maximum {maximum:,.0f} records/s; seed {seed}; {minutes:g} minutes at half of it")
        samples = soak.run(minutes, maximum / 2, directory / "samples.csv")
        wrong = soak.books.wrong(soak.offered)
    text, flat = page(samples, maximum, wrong, load)
    sys.stdout.write(text)
    DOCUMENT.write_text(text)
    return 0 if flat and not wrong else 1


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
