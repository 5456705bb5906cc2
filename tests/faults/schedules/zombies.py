"""Workers that were frozen, and wake up when others have their tasks."""

from __future__ import annotations

import signal

from app.engine.faults import POINTS
from tests.faults.schedule import schedule
from tests.faults.schedules.kills import pause
from tests.faults.trial import TASKS, Trial
from tests.support.kafka import wait_for
from tests.support.workers import Process

FAILED, TWIN = 4, 3
LAST = ("worker_failed", "tasks_assigned")


def taken_over(heir: Process) -> bool:
    events = heir.events("tasks_assigned")
    return bool(events) and len(events[-1]["tasks"]) == TASKS


def said_so(zombie: Process) -> bool:
    """It has ended and told why, or has joined again and told what it was given."""
    if zombie.code is not None:
        assert zombie.code in (FAILED, TWIN), zombie.tail()
        assert zombie.events("worker_failed"), zombie.tail()
    return zombie.code is not None


@schedule(bound_s=420)
def frozen_and_taken_over(trial: Trial) -> None:
    """Of two workers under load one gets SIGSTOP, beyond its session; the other takes its tasks; SIGCONT; 8 times.

    It ends with code 4 or 3, or joins again, and says which.
    """
    steady = trial.ready(data="steady")
    ended = 0
    with trial.load():
        for turn in range(trial.times(8, 1)):
            zombie = trial.start(data=f"host-{turn}", leave=True)
            zombie.until("task_ready")
            pause(trial, 1)
            zombie.signal(signal.SIGSTOP)
            wait_for(lambda: taken_over(steady), "the other to have all tasks", 40)
            pause(trial, 2)
            joined = len(zombie.events("tasks_assigned"))
            zombie.signal(signal.SIGCONT)
            wait_for(
                lambda one=zombie, was=joined: said_so(one) or len(one.events("tasks_assigned")) > was, "its word", 30
            )
            ended += zombie.code is not None
            zombie.stop()
    trial.remark(f"{ended} ended, the others joined again")
    trial.settle()


@schedule(bound_s=300)
def frozen_at_fault_points(trial: Trial) -> None:
    """A worker stops itself at each fault point, another host takes over, and then it wakes up, twice each."""
    for turn in range(trial.times(2, 1)):
        for point in POINTS:
            if point == "during_restore":
                continue  # nothing of a transaction is open there
            zombie = trial.start(data=f"zombie-{turn}-{point}", fault=f"stop@{point}:0.3")
            with trial.load():
                wait_for(lambda one=zombie, at=point: f"stop@{at}" in one.log.read_text(), f"a stop {point}", 40)
                heir = trial.start(data=f"heir-{turn}-{point}", leave=True)
                wait_for(lambda one=heir: taken_over(one), "the heir to have all tasks", 40)
                pause(trial, 1)
            zombie.signal(signal.SIGCONT)
            wait_for(
                lambda one=zombie: said_so(one) or len(one.events("tasks_assigned")) > 1 or again(one), "its word", 30
            )
            zombie.kill()
            assert heir.stop() == 0
    trial.settle()


def again(zombie: Process) -> bool:
    """It met its fault point once more: whatever it does then, it has joined."""
    return zombie.log.read_text().count("fault stop@") > 1
