"""Wall clocks that jump, and workers that were down while time passed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.faults.scenario import ALARM_MS
from tests.faults.schedule import schedule
from tests.faults.schedules.kills import pause
from tests.faults.trial import Trial
from tests.support.kafka import wait_for
from tests.support.toy import Addition
from tests.support.workers import Event

HOUR_S, MINUTE_S = 3_600, 60
JUMP_S = 70 * MINUTE_S
LONG_MS = 65 * MINUTE_S * 1000  # beyond what the driver's time reaches, and within a jump: these must not fire
WITHIN_S = 15.0


class Wall:
    """Of all workers."""

    def __init__(self, trial: Trial) -> None:
        self.file: Path = trial.directory / "wall"
        trial.workers.plan["wall"] = str(self.file)
        self.set(0)

    def set(self, seconds: float) -> None:
        part = self.file.with_suffix(".new")
        part.write_text(str(seconds))
        part.rename(self.file)


def alarms_within(trial: Trial, name: str, seconds: float = WITHIN_S) -> None:
    """Ten timers, and they fire."""
    row = trial.scenario.row
    mine = {f"{name}-{n}" for n in range(10)}
    trial.write(trial.scenario.add(*(Addition(account, 1, ALARM_MS) for account in mine)))
    trial.kafka.read_until(row.alarms.name, lambda found: mine <= {record.key for record in found}, within_s=seconds)


def at_least(count: int, events: list[Event]) -> bool:
    return len(events) >= count


def sleepers(trial: Trial, name: str, count: int = 50) -> None:
    trial.write(trial.scenario.add(*(Addition(f"{name}-{n}", 1, LONG_MS) for n in range(count))))


@schedule(bound_s=180)
def jumps_of_the_wall_clock(trial: Trial) -> None:
    """Under load the worker's clock jumps 70 minutes forward and back: that is told, none of 50 timers due in 65
    minutes fires, and none that is due stalls.
    """
    wall = Wall(trial)
    worker = trial.ready()
    sleepers(trial, "sleeper")
    jumps = (JUMP_S, 0, -JUMP_S, JUMP_S, 0)
    with trial.load(rate=100):
        for number, to in enumerate(jumps):
            wall.set(to)
            worker.until("wall_clock_jumped", partial(at_least, number + 1))
            alarms_within(trial, f"jumped-{number}")
    trial.settle()


@schedule(bound_s=240)
def restarts_under_a_wrong_clock(trial: Trial) -> None:
    """Workers start while the clock is 50 minutes ahead, right, an hour behind, and right: timers fire in time."""
    wall = Wall(trial)
    for number, to in enumerate((0, 50 * MINUTE_S, 0, -HOUR_S, 0)):
        wall.set(to)
        worker = trial.ready()
        with trial.load(rate=100):
            alarms_within(trial, f"started-{number}")
        if number % 2:
            worker.kill()
        else:
            worker.stop()
    trial.settle()


@schedule(bound_s=240)
def down_for_ten_minutes(trial: Trial) -> None:
    """200 orders would time out in five minutes; the worker is down for ten; replies to half of them come in behind
    20,000 other records: those are not timed out, and the others are (C3).
    """
    wall = Wall(trial)
    worker = trial.ready()
    waiting = [f"waiting-{n}" for n in range(200)]
    five_minutes = 5 * MINUTE_S * 1000
    trial.write(trial.scenario.add(*(Addition(name, 1, five_minutes) for name in waiting)))
    wait_for(lambda: len(trial.kafka.read_all(trial.scenario.row.sums.name)) >= len(waiting), "all to wait", 90)
    worker.stop()
    wall.set(10 * MINUTE_S)
    trial.write(trial.scenario.more(trial.times(20_000, 2_000)))
    answered = waiting[: len(waiting) // 2]
    trial.write(trial.scenario.add(*(Addition(name, 1, LONG_MS) for name in answered)))
    trial.ready()
    pause(trial, 1)
    trial.settle()
