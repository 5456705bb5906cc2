"""Connections between worker and broker that are cut, reset, slowed and paused; other clients see nothing of it."""

from __future__ import annotations

from tests.faults.kept import FAILED, kept
from tests.faults.schedule import schedule
from tests.faults.schedules.brokers import wait
from tests.faults.schedules.kills import pause
from tests.faults.schedules.zombies import TWIN, until_taken_over
from tests.faults.trial import Trial
from tests.support.brokers import Proxied, proxied_broker
from tests.support.kafka import wait_for
from tests.support.proxy import Proxy
from tests.support.workers import Process


def between(trial: Trial) -> Proxy:
    """Workers that start from now on are connected through it."""
    assert isinstance(trial.brokers, Proxied)
    trial.workers.bootstrap = trial.brokers.through
    return trial.brokers.proxy


def settle(trial: Trial, line: Proxy) -> None:
    trial.remark(f"{line.accepted} connections")
    assert line.accepted, "nobody was connected through the proxy"
    trial.settle()


@schedule(bound_s=420, brokers=proxied_broker)
def connections_cut(trial: Trial) -> None:
    """Under load all connections of the worker are cut, and refused for up to 3 s, 15 times."""
    line = between(trial)
    with kept(trial), trial.load():
        for _ in range(trial.times(15, 3)):
            pause(trial, 3)
            line.cut()
            pause(trial, 3)
            line.heal()
    settle(trial, line)


@schedule(bound_s=420, brokers=proxied_broker)
def connections_reset(trial: Trial) -> None:
    """Under load all connections of the worker are reset within a second of each other, 60 times: answers are lost."""
    line = between(trial)
    with kept(trial), trial.load():
        for _ in range(trial.times(60, 10)):
            pause(trial, 1)
            line.reset()
    settle(trial, line)


@schedule(bound_s=420, brokers=proxied_broker)
def connections_slowed(trial: Trial) -> None:
    """Under load every piece takes 200 ms each way for 20 s, then 100 kB/s are let through for 20 s."""
    line = between(trial)
    with kept(trial), trial.load(rate=200):
        for slow in ({"latency_ms": 200.0}, {"bytes_a_second": 100_000.0}):
            pause(trial, 2)
            line.slow(**slow)
            wait(trial.times(20, 5))
            line.heal()
    settle(trial, line)


@schedule(bound_s=420, brokers=proxied_broker)
def connections_stalled(trial: Trial) -> None:
    """Under load nothing moves for up to 3 s, within the session, then everything that was held arrives, 10 times."""
    line = between(trial)
    with kept(trial), trial.load():
        for _ in range(trial.times(10, 2)):
            pause(trial, 2)
            line.stall()
            pause(trial, 3)
            line.heal()
    settle(trial, line)


@schedule(bound_s=420, brokers=proxied_broker)
def connections_paused_beyond_the_session(trial: Trial) -> None:
    """Only the broker connections of a worker are paused, under load; another takes over, and they go on; 5 times.

    What the first had on its way arrives then: it commits nothing of it, and ends with code 4 or 3, or joins again.
    """
    line, ended = between(trial), 0
    assert isinstance(trial.brokers, Proxied)
    for turn in range(trial.times(5, 1)):
        trial.workers.bootstrap = trial.brokers.through
        paused = trial.ready(data=f"paused-{turn}", leave=True)
        with trial.load():
            pause(trial, 2)
            line.stall()
            trial.workers.bootstrap = trial.brokers.bootstrap
            heir = trial.start(data=f"heir-{turn}", leave=True)
            until_taken_over(heir)
            pause(trial, 3)
            joined = len(paused.events("tasks_assigned"))
            line.heal()
            until_its_end_or_next_tasks(paused, joined)
        ended += paused.code is not None
        paused.stop()
        assert heir.stop() == 0
    trial.remark(f"{ended} ended, the others joined again")
    settle(trial, line)


def until_its_end_or_next_tasks(paused: Process, joined: int) -> None:
    def said() -> bool:
        if paused.code is not None:
            assert paused.code in (FAILED, TWIN), paused.tail()
            assert paused.events("worker_failed"), paused.tail()
            return True
        return len(paused.events("tasks_assigned")) > joined

    wait_for(said, "the paused one's word", 60)
