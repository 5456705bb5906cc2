"""`python -m tests.bench [--quick] [--alone] [--rounds N] [--only w1,w3]`: measure, print, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from deploy.kafka.broker import Broker
from tests.bench import oracle, report, workloads
from tests.bench.cluster import Cluster
from tests.bench.contender import Contender, NoJdk, jdk, kafka_streams, product
from tests.bench.latency import latency
from tests.bench.orders import order_saga
from tests.bench.run import Failed, Measured, Workload, throughput

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "var" / "bench"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
CALLS, SAGAS, PACED, ORDERS = 1_000_000, 100_000, 20_000, 20_000
R = TypeVar("R")


class Bench:
    def __init__(self, cluster: Cluster, contenders: Sequence[Contender], rounds: int, scale: int) -> None:
        self.cluster, self.contenders, self.rounds, self.scale = cluster, contenders, rounds, scale

    def in_turn(self, what: str, measure: Callable[[Contender], R]) -> dict[str, list[R]]:
        """Each contender once, then each again: what disturbs the machine for a while disturbs all."""
        found: dict[str, list[R]] = {contender.name: [] for contender in self.contenders}
        for number in range(self.rounds):
            for contender in self.contenders:
                measured = measure(contender)
                found[contender.name].append(measured)
                say(f"{what}, round {number + 1}, {contender.name}: {measured}")
        return found

    def w1(self) -> str:
        calls = CALLS // self.scale
        inbox = f"bench-w1-{calls}"
        self.cluster.preload(inbox, workloads.call_outcomes(calls))
        workload = Workload("w1", inbox, calls, oracle.expected("w1", calls))
        return report.throughput_table(f"W1: {calls:,} calls, hot keys", self._throughput(workload))

    def w2(self) -> str:
        sagas = SAGAS // self.scale
        inbox = f"bench-w2-{sagas}"
        self.cluster.preload(inbox, workloads.saga_records(sagas))
        records = sum(1 for _ in workloads.saga_records(sagas))
        workload = Workload("w2", inbox, records, oracle.expected("w2", sagas))
        return report.throughput_table(f"W2: {records:,} records of sagas, cold keys", self._throughput(workload))

    def _throughput(self, workload: Workload) -> dict[str, list[Measured]]:
        return self.in_turn(workload.name, lambda contender: throughput(contender, self.cluster, workload, WORK))

    def w3(self) -> str:
        records = PACED // self.scale + PACED // 5
        runs = self.in_turn("w3", lambda contender: latency(contender, self.cluster, records, WORK))
        return report.latency_table("W3: W2 at 1,000 records/s, send to read_committed", runs)

    def w5(self) -> str:
        """Only this engine; once, since its topics' names are fixed."""
        runs = [order_saga(self.cluster, ORDERS // self.scale, WORK)]
        say(f"w5: {runs}")
        return report.saga_table(f"W5: the order saga, {ORDERS // self.scale:,} orders", runs)


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="a tenth of the records; prints only")
    arguments.add_argument("--alone", action="store_true", help="without Kafka Streams: needs no JDK and no Maven")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", default="w1,w2,w3,w5", help="of w1, w2, w3, w5")
    given = arguments.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    try:
        contenders = [product(), *([] if given.alone else kafka_streams(WORK / "streams"))]
        text = measured(contenders, given)
    except (NoJdk, Failed) as error:
        say(
            f"{error}\n`--alone` measures this engine without Kafka Streams" if isinstance(error, NoJdk) else str(error)
        )
        return 1
    sys.stdout.write(text)
    if not given.quick:
        DOCUMENT.write_text(text)
    return 0


def measured(contenders: Sequence[Contender], given: argparse.Namespace) -> str:
    load = os.getloadavg()[0]
    broker = Broker(WORK / "kafka", heap="512m")
    broker.start()
    try:
        cluster = Cluster(broker.bootstrap, broker.pid)
        bench = Bench(cluster, contenders, given.rounds, 10 if given.quick else 1)
        tables = [getattr(bench, name)() for name in given.only.split(",")]
    finally:
        broker.stop()
    java = None if given.alone else jdk("java")
    return "\n".join([report.HEAD, *tables, report.conditions(java, load)])


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
