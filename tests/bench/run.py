"""One measured run: a fresh process over a preloaded topic, then the oracle."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import psutil

from tests.bench.cluster import Cluster, Failed
from tests.bench.contender import Contender
from tests.bench.oracle import Figures, Result
from tests.bench.process import Job, Process, Sample, running

LOOK_S = 0.05
LIMIT_S = 300.0


class Workload(NamedTuple):
    job: Job
    records: int
    expected: Result


class Measured(NamedTuple):
    records: int
    rate: float  # records a second, from the first one processed to the last one committed
    own_us: float  # CPU a record
    broker_us: float
    rss_mb: float
    others_percent: float  # of the machine
    wrong: str


def throughput(contender: Contender, cluster: Cluster, workload: Workload) -> Measured:
    with running(contender, cluster, workload.job) as process:
        samples = until_committed(process, workload.records)
        begun = process.begun() or samples[0].at
        process.stop()
        return measured(samples, begun, workload.records, differences(figures(process), workload.expected))


def measured(samples: list[Sample], begun: float, records: int, wrong: str) -> Measured:
    first, last = min(samples, key=lambda sample: abs(sample.at - begun)), samples[-1]
    return Measured(
        records,
        records / (last.at - begun),
        1e6 * (last.own - first.own) / records,
        1e6 * (last.broker - first.broker) / records,
        max(sample.rss for sample in samples) / 1e6,
        100 * (last.others - first.others) / (last.at - first.at) / psutil.cpu_count(),
        wrong,
    )


def until_committed(process: Process, records: int) -> list[Sample]:
    """Raises Failed."""
    samples, end = [process.sample()], time.time() + LIMIT_S
    committed = process.cluster.committed(process.app, process.job.inbox, process.job.partitions)
    while committed() < records:
        if samples[-1].at > end:
            raise Failed(f"{process.contender.name}: not done after {LIMIT_S:.0f} s")
        time.sleep(LOOK_S)
        samples.append(process.sample())
    return [*samples, process.sample()]


def figures(process: Process, since: Mapping[int, int] | None = None) -> Result:
    """`since`: where the changelog was when it began, by partition."""
    found = Figures()
    for topic, _, value in process.cluster.all_records(process.outputs, {}):
        found.add_output(process.outputs[topic], msgspec.json.decode(value))
    last = dict(process.cluster.records(process.changelog, since))
    for key, value in last.items():
        state = process.contender.state(process.job.workload, key, value)
        if state is not None:
            found.add_state(*state)
    return found.result()


def differences(found: Result, expected: Result) -> str:
    pairs = zip(Result._fields, found, expected, strict=True)
    return "; ".join(f"{name} {got}, not {want}" for name, got, want in pairs if got != want)
