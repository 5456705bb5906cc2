"""Workers that were frozen, and wake up when others have their tasks."""

from __future__ import annotations

import signal

from tests.faults.schedule import schedule
from tests.faults.schedules.kills import OF_A_WORKER, pause
from tests.faults.trial import TASKS, Trial
from tests.support.kafka import wait_for
from tests.support.workers import Process

FAILED, TWIN = 4, 3


def until_taken_over(heir: Process) -> None:
    heir.until("tasks_assigned", lambda events: bool(events) and len(events[-1]["tasks"]) == TASKS, 90)


def until_frozen(zombie: Process) -> None:
    wait_for(lambda: "fault stop@" in zombie.log.read_text(), "the worker to stop itself", 90)


def until_it_says_so(zombie: Process, joined: int) -> None:
    """It has ended and told why, or has joined again and told what it was given."""
    met = zombie.log.read_text().count("fault stop@")
    zombie.signal(signal.SIGCONT)

    def said() -> bool:
        if zombie.code is not None:
            assert zombie.code in (FAILED, TWIN), zombie.tail()
            assert zombie.events("worker_failed"), zombie.tail()
            return True
        again = zombie.log.read_text().count("fault stop@") > met  # it stopped itself once more, so it has joined
        return again or len(zombie.events("tasks_assigned")) > joined

    wait_for(said, "the frozen one's word", 90)


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
            joined = len(zombie.events("tasks_assigned"))
            until_taken_over(steady)
            pause(trial, 2)
            until_it_says_so(zombie, joined)
            ended += zombie.code is not None
            zombie.stop()
    trial.remark(f"{ended} ended, the others joined again")
    trial.settle()


@schedule(bound_s=420)
def frozen_at_fault_points(trial: Trial) -> None:
    """A worker stops itself at each fault point, another host takes over, and then it wakes up, twice each."""
    for turn in range(trial.times(2, 1)):
        for point in OF_A_WORKER:
            if point == "during_restore":
                continue  # nothing of a transaction is open there
            zombie = trial.start(data=f"zombie-{turn}-{point}", fault=f"stop@{point}:0.3")
            with trial.load():
                until_frozen(zombie)
                joined = len(zombie.events("tasks_assigned"))
                heir = trial.start(data=f"heir-{turn}-{point}", leave=True)
                until_taken_over(heir)
                pause(trial, 1)
            until_it_says_so(zombie, joined)
            zombie.kill()
            assert heir.stop() == 0
    trial.settle()
