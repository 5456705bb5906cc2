"""Workers that die with -9."""

from __future__ import annotations

import shutil
import signal
import threading
from functools import partial

from app.engine.faults import POINTS
from tests.faults.schedule import schedule
from tests.faults.trial import TASKS, Trial
from tests.support.kafka import wait_for
from tests.support.workers import Process

HOSTS = ("one", "two", "three")
CHANCES = {"during_restore": 1}
OF_A_GROUP = "during_assignment"  # passed by its leader alone, and only when somebody joins or leaves
OF_A_WORKER = tuple(point for point in POINTS if point != OF_A_GROUP)


class Crowd:
    """Workers, each on a host of its own, that are started again when they die."""

    def __init__(self, trial: Trial, hosts: tuple[str, ...] = HOSTS) -> None:
        self._trial = trial
        self.workers = {host: trial.start(data=host) for host in hosts}

    def kill(self, *hosts: str) -> None:
        for host in hosts:
            self.workers[host].signal(signal.SIGKILL)
        for host in hosts:
            self.workers[host].wait()

    def start(self, *hosts: str, **options: str) -> None:
        for host in hosts:
            self.workers[host] = self._trial.start(data=host, **options)

    def forget(self, host: str) -> None:
        shutil.rmtree(self._trial.directory / host / "0" / "stores", ignore_errors=True)


def pause(trial: Trial, seconds: float) -> None:
    """The dice say when, in a load that goes on."""
    threading.Event().wait(trial.dice.random() * seconds)


@schedule(bound_s=600)
def killed_at_fault_points(trial: Trial) -> None:
    """A worker kills itself at each of the engine's fault points, 10 times each; for a restore its disk is deleted.

    Records keep coming, so that each point is passed until it kills; a restore ends, so it kills at once.
    """
    trial.ready().kill()
    with trial.load():
        for turn in range(trial.times(10, 1)):
            for point in OF_A_WORKER:
                if point == "during_restore":
                    shutil.rmtree(trial.workers.data / "0" / "stores", ignore_errors=True)
                doomed = trial.start(fault=f"kill@{point}:{CHANCES.get(point, 0.5)}")
                assert doomed.wait(90) == -signal.SIGKILL, f"{point} in turn {turn}"
    trial.settle()


@schedule(bound_s=1800)
def killed_at_random(trial: Trial) -> None:
    """Three workers under load: 200 times one of them is killed and started again; one in ten finds no disk."""
    kill_at_random(trial, trial.times(200, 20))


def kill_at_random(trial: Trial, times: int) -> None:
    crowd = Crowd(trial)
    with trial.load(rate=200):
        trial.until_rebalanced()
        for _ in range(times):
            host = trial.dice.choice(HOSTS)
            if trial.dice.random() < 0.7:  # the others die on their way
                crowd.workers[host].until("tasks_assigned", within_s=90)
            pause(trial, 1.2)
            crowd.kill(host)
            if trial.dice.random() < 0.1:
                crowd.forget(host)
            crowd.start(host)
    trial.settle()


@schedule(bound_s=300)
def killed_two_at_once(trial: Trial) -> None:
    """Of three workers under load two are killed in the same moment and started again, 15 times."""
    crowd = Crowd(trial)
    with trial.load():
        trial.until_rebalanced()
        for _ in range(trial.times(15, 2)):
            pause(trial, 4)
            both = trial.dice.sample(HOSTS, 2)
            crowd.kill(*both)
            crowd.start(*both)
    trial.settle()


def dead_or_ready(worker: Process) -> bool:
    return worker.code is not None or len(worker.events("task_ready")) >= TASKS


@schedule(bound_s=300)
def killed_during_recovery(trial: Trial) -> None:
    """A worker without a disk is killed while it reads its changelog, 15 times, at the fault point or at any moment."""
    trial.ready()
    trial.write(trial.scenario.more(4_000))
    for turn in range(trial.times(15, 2)):
        for worker in trial.alive:
            worker.kill()
        shutil.rmtree(trial.workers.data / "0" / "stores", ignore_errors=True)
        if turn % 2:
            doomed = trial.start(fault=f"kill@during_restore:{0.05 + trial.dice.random() / 4:.2f}")
            wait_for(partial(dead_or_ready, doomed), "a death or the end of the restore", 90)
            doomed.kill()
        else:
            trial.start().until("tasks_assigned", within_s=90)
            pause(trial, 0.3)
        trial.write(trial.scenario.more(200))
    for worker in trial.alive:
        worker.kill()
    trial.settle()


@schedule(bound_s=300)
def killed_during_a_rebalance(trial: Trial) -> None:
    """One worker joins, and within the second one of the three is killed, 15 times, under load."""
    crowd = Crowd(trial, HOSTS[:2])
    with trial.load():
        trial.until_rebalanced()
        for turn in range(trial.times(15, 2)):
            before = trial.rebalances
            guest = trial.start(data=f"guest-{turn}", leave=True)  # one that was there before would take its seat again
            trial.until_rebalanced(before)
            pause(trial, 1)
            victim = trial.dice.choice((*HOSTS[:2], "guest"))
            if victim == "guest":
                guest.kill()
            else:
                crowd.kill(victim)
                crowd.start(victim)
                guest.stop()
    trial.settle()


@schedule(bound_s=420)
def killed_while_it_assigns(trial: Trial) -> None:
    """The leader of the group kills itself between JoinGroup and SyncGroup, 10 times, as workers join under load."""
    leaders = partial(trial.start, fault=f"kill@{OF_A_GROUP}:0.5")
    crowd = {host: leaders(data=host) for host in HOSTS}
    died = turn = 0
    with trial.load():
        while died < trial.times(10, 2):
            guest = trial.start(data=f"guest-{turn}", leave=True)
            wait_for(partial(assigned_or_killed, guest, *crowd.values()), "an assignment, or a leader's death", 90)
            for host in [host for host, worker in crowd.items() if worker.code is not None]:
                assert crowd[host].code == -signal.SIGKILL, crowd[host].tail()
                died, crowd[host] = died + 1, leaders(data=host)
            guest.kill() if turn % 2 else guest.stop()
            turn += 1
    for worker in trial.alive:
        worker.kill()
    trial.settle()


def assigned_or_killed(guest: Process, *leaders: Process) -> bool:
    return bool(guest.events("tasks_assigned")) or any(leader.code is not None for leader in leaders)
