"""Runs a schedule within its bound; what a failed one leaves behind is kept."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
from msgspec.structs import replace

from tests.faults.schedule import Schedule
from tests.faults.trial import Trial, trial

WORK = Path(__file__).resolve().parents[2] / "var" / "faults"


MOST_PATIENT = 8.0


class Hung(AssertionError):
    """The schedule has not ended within its bound."""


class Result(msgspec.Struct, frozen=True):
    """`wrong` is empty for a schedule that passed; `load` is the machine's average before it, `commit` the newest."""

    name: str
    seed: int
    commit: str
    load: float
    seconds: float = 0.0
    kills: int = 0
    rebalances: int = 0
    records: int = 0
    remarks: str = ""
    wrong: str = ""


def run(schedule: Schedule, seed: int, short: bool = False) -> Result:
    directory = WORK / schedule.name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    begun, found = monotonic(), Result(schedule.name, seed, commit(), os.getloadavg()[0])
    try:
        with (
            bound(schedule),
            schedule.brokers(directory / "kafka") as brokers,
            trial(brokers, seed, short, directory) as made,
        ):
            try:
                schedule.does(made)
            finally:
                found = told(found, made)
    except Exception as error:  # noqa: BLE001  however a schedule breaks, it has failed, and the next begins
        (directory / "failure.txt").write_text(traceback.format_exc())
        found = replace(found, wrong=f"{type(error).__name__}: {error}")
    else:
        shutil.rmtree(directory)
    return replace(found, seconds=monotonic() - begun)


def told(found: Result, made: Trial) -> Result:
    return replace(
        found,
        kills=made.kills,
        rebalances=made.rebalances,
        records=len(made.scenario.records),
        remarks="; ".join(made.remarks),
    )


def patience() -> float:
    """Bounds are those of a machine that does nothing else."""
    return min(MOST_PATIENT, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def commit() -> str:
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


@contextmanager
def bound(schedule: Schedule) -> Iterator[None]:
    within_s = schedule.bound_s * patience()

    def out_of_time(_number: int, _frame: Any) -> None:
        raise Hung(f"{schedule.name} has not ended within {within_s:.0f} s")

    before = signal.signal(signal.SIGALRM, out_of_time)
    signal.setitimer(signal.ITIMER_REAL, within_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
