"""A contender at work: its topics, its processes, what they cost and what they say."""

from __future__ import annotations

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

from tests.bench.cluster import Cluster, Failed
from tests.bench.contender import Contender
from tests.bench.oracle import OUTPUTS
from tests.bench.workloads import PARTITIONS, spread

ROOT = Path(__file__).resolve().parents[2]
STOP_S = 30.0
QUIET_S, QUIET_PERCENT, QUIET_LIMIT_S = 1.5, 15.0, 10.0


class Job(NamedTuple):
    """`workload`: w1, w2, or timed: w2 with a timer for each saga. `spread`: topics for each kind of output."""

    workload: str
    inbox: str
    partitions: int = PARTITIONS
    spread: int = 1

    @property
    def outputs(self) -> tuple[str, ...]:
        return OUTPUTS["w1" if self.workload == "w1" else "w2"]


class Sample(NamedTuple):
    """The clock, and CPU seconds until then."""

    at: float
    own: float
    broker: float
    others: float  # on this machine, neither contender nor broker nor harness
    rss: int


class Process:
    def __init__(self, contender: Contender, cluster: Cluster, job: Job) -> None:
        self.contender, self.cluster, self.job = contender, cluster, job
        self.app = f"bench-{job.workload}-{time.time_ns():x}"
        self.outputs = {f"{topic}-{self.app}": name for name in job.outputs for topic in spread(name, job.spread)}
        self.changelog = contender.changelog(self.app, job.inbox)
        self.state, self.logs = cluster.runs / self.app, list[Path]()
        self.state.mkdir(parents=True)
        self.members: list[psutil.Popen] = []
        self._broker = psutil.Process(cluster.broker_pid)
        cluster.create(*self.outputs, partitions=job.partitions)

    def start(self) -> None:
        for number in range(self.contender.processes):
            self.join(number)

    def join(self, number: int) -> psutil.Popen:
        """Member `number` begins, or comes back."""
        log = self.state.with_suffix(f".{len(self.logs)}.log")
        with log.open("wb") as out:
            member = psutil.Popen(
                self.contender.command,
                env=self._environment(number),
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self.logs.append(log)
        self.members.append(member)
        return member

    def _environment(self, number: int) -> dict[str, str]:
        state = self.state if self.contender.share_directory else self.state / str(number)
        return {
            **os.environ,
            **self.contender.environment,
            "WORKLOAD": self.job.workload,
            "BOOTSTRAP": self.cluster.bootstrap,
            "APP_ID": self.app,
            "INSTANCE": f"{self.app}-{number}",
            "IN_TOPIC": self.job.inbox,
            "OUT_SUFFIX": f"-{self.app}",
            "STATE_DIR": str(state),
            "PARTITIONS": str(self.job.partitions),
            "SPREAD": str(self.job.spread),
        }

    def sample(self) -> Sample:
        """Raises Failed once a process has ended."""
        own, rss = 0.0, 0
        for member in self.members:
            try:
                own, rss = own + used(member.cpu_times()), rss + member.memory_info().rss
            except psutil.Error as error:
                raise Failed(self._last_words()) from error
            if member.poll() is not None:
                raise Failed(self._last_words())
        broker, harness, all_ = used(self._broker.cpu_times()), used(psutil.Process().cpu_times()), psutil.cpu_times()
        return Sample(time.time(), own, broker, used(all_) + all_.nice - own - broker - harness, rss)

    def _last_words(self) -> str:
        log = self.logs[-1]
        return f"{self.contender.name} ended early; the end of {log}:\n" + log.read_text(errors="replace")[-2_000:]

    def said(self, what: str) -> list[list[float]]:
        """The numbers of every such line of all its logs; the first is a time, here in seconds."""
        lines = [line.split() for log in self.logs for line in log.read_text(errors="replace").splitlines()]
        found = [line[1:] for line in lines if line[:1] == [what]]
        return [[int(at) / 1_000, *map(float, more)] for at, *more in found]

    def begun(self) -> float | None:
        """When it had its first record."""
        return min((at for at, *_ in self.said("begun")), default=None)

    def leave(self, member: psutil.Popen) -> None:
        if member.poll() is None:
            member.send_signal(signal.SIGTERM)
            try:
                member.wait(STOP_S)
            except psutil.TimeoutExpired:
                member.kill()
        member.wait()
        self.members.remove(member)

    def stop(self) -> None:
        for member in list(self.members):
            self.leave(member)


def used(times: Any) -> float:
    seconds: float = times.user + times.system
    return seconds


@contextmanager
def prepared(contender: Contender, cluster: Cluster, job: Job) -> Iterator[Process]:
    """Its topics are there, and it is not started. Topics and state are gone afterwards; its logs stay."""
    process = Process(contender, cluster, job)
    try:
        yield process
    finally:
        process.stop()
        cluster.delete_like(process.app)
        shutil.rmtree(process.state, ignore_errors=True)


@contextmanager
def running(contender: Contender, cluster: Cluster, job: Job) -> Iterator[Process]:
    with prepared(contender, cluster, job) as process:
        wait_for_quiet()
        process.start()
        yield process


def wait_for_quiet(limit_s: float = QUIET_LIMIT_S) -> None:
    """Until the machine is all but idle, or for so long."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end and psutil.cpu_percent(QUIET_S) > QUIET_PERCENT:
        pass
