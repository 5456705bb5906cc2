"""One measured run: a fresh process over a preloaded topic, then the oracle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.bench.cluster import Cluster
from tests.bench.contender import Contender
from tests.bench.oracle import OUTPUTS, Figures, Result

LOOK_S = 0.05
LIMIT_S = 300.0
STOP_S = 30.0
QUIET_S, QUIET_PERCENT, QUIET_LIMIT_S = 1.5, 15.0, 10.0


class Failed(Exception):
    pass


class Workload(NamedTuple):
    name: str
    inbox: str
    records: int
    expected: Result


class Sample(NamedTuple):
    """The clock, and CPU seconds until then."""

    at: float
    own: float
    broker: float
    others: float  # on this machine, neither contender nor broker nor harness
    rss: int


class Measured(NamedTuple):
    rate: float  # records a second, from the first one processed to the last one committed
    own_us: float  # CPU a record
    broker_us: float
    rss_mb: float
    others_percent: float  # of the machine
    wrong: str


class Process:
    """A contender at work, watched."""

    def __init__(self, contender: Contender, cluster: Cluster, workload: str, inbox: str, directory: Path) -> None:
        self.contender, self.cluster, self.workload, self.inbox = contender, cluster, workload, inbox
        self.app = f"bench-{workload}-{time.time_ns():x}"
        self.outputs = {f"{name}-{self.app}": name for name in OUTPUTS["w1" if workload == "w1" else "w2"]}
        self.log = directory / f"{self.app}.log"
        self.state = directory / self.app
        self.state.mkdir(parents=True)
        cluster.create(*self.outputs)
        with self.log.open("wb") as log:
            self._own = psutil.Popen(
                contender.command,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self._broker = psutil.Process(cluster.broker_pid)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self.contender.environment,
            "WORKLOAD": "w1" if self.workload == "w1" else "w2",
            "BOOTSTRAP": self.cluster.bootstrap,
            "APP_ID": self.app,
            "IN_TOPIC": self.inbox,
            "OUT_SUFFIX": f"-{self.app}",
            "STATE_DIR": str(self.state),
        }

    def sample(self) -> Sample:
        """Raises Failed once the process has ended."""
        try:
            own, rss = self._own.cpu_times(), self._own.memory_info().rss
        except psutil.Error as error:
            raise Failed(self._last_words()) from error
        if self._own.poll() is not None:
            raise Failed(self._last_words())
        mine, broker, harness = map(used, (own, self._broker.cpu_times(), psutil.Process().cpu_times()))
        all_ = psutil.cpu_times()
        others = used(all_) + all_.nice - mine - broker - harness
        return Sample(time.time(), mine, broker, others, rss)

    def _last_words(self) -> str:
        return f"{self.contender.name} ended early; the end of {self.log}:\n" + self.log.read_text()[-2_000:]

    def begun(self) -> float | None:
        """When the process says that it had its first record."""
        lines = self.log.read_text(errors="replace").splitlines()
        return next((int(line.split()[1]) / 1_000 for line in lines if line.startswith("begun ")), None)

    def stop(self) -> None:
        if self._own.poll() is None:
            self._own.send_signal(signal.SIGTERM)
            try:
                self._own.wait(STOP_S)
            except psutil.TimeoutExpired:
                self._own.kill()
        self._own.wait()


def used(times: Any) -> float:
    seconds: float = times.user + times.system
    return seconds


@contextmanager
def running(contender: Contender, cluster: Cluster, workload: str, inbox: str, directory: Path) -> Iterator[Process]:
    """Its topics and its state are gone afterwards; its log stays."""
    wait_for_quiet()
    process = Process(contender, cluster, workload, inbox, directory)
    try:
        yield process
    finally:
        process.stop()
        cluster.delete_like(process.app)
        shutil.rmtree(process.state, ignore_errors=True)


def wait_for_quiet() -> None:
    """Until the machine is all but idle, or for ten seconds."""
    end = time.monotonic() + QUIET_LIMIT_S
    while time.monotonic() < end and psutil.cpu_percent(QUIET_S) > QUIET_PERCENT:
        pass


def throughput(contender: Contender, cluster: Cluster, workload: Workload, directory: Path) -> Measured:
    with running(contender, cluster, workload.name, workload.inbox, directory) as process:
        samples = until_committed(process, workload)
        begun = process.begun() or samples[0].at
        process.stop()
        first, last = min(samples, key=lambda sample: abs(sample.at - begun)), samples[-1]
        records = workload.records
        return Measured(
            records / (last.at - begun),
            1e6 * (last.own - first.own) / records,
            1e6 * (last.broker - first.broker) / records,
            max(sample.rss for sample in samples) / 1e6,
            100 * (last.others - first.others) / (last.at - first.at) / psutil.cpu_count(),
            differences(figures(process), workload.expected),
        )


def until_committed(process: Process, workload: Workload) -> list[Sample]:
    """Raises Failed."""
    samples, end = [process.sample()], time.time() + LIMIT_S
    committed = process.cluster.committed(process.app, workload.inbox)
    while committed() < workload.records:
        if samples[-1].at > end:
            raise Failed(f"{process.contender.name}: not done after {LIMIT_S:.0f} s")
        time.sleep(LOOK_S)
        samples.append(process.sample())
    return [*samples, process.sample()]


def figures(process: Process) -> Result:
    found = Figures()
    for topic, name in process.outputs.items():
        for _, value in process.cluster.records(topic):
            found.add_output(name, json.loads(value))
    contender, workload = process.contender, process.workload
    last = dict(process.cluster.records(contender.changelog(process.app)))
    for key, value in last.items():
        state = contender.state(workload, key, value)
        if state is not None:
            found.add_state(*state)
    return found.result()


def differences(found: Result, expected: Result) -> str:
    pairs = zip(Result._fields, found, expected, strict=True)
    return "; ".join(f"{name} {got}, not {want}" for name, got, want in pairs if got != want)
