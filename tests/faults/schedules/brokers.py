"""Brokers that die, stop and freeze, alone and one of three."""

from __future__ import annotations

import threading

from deploy.kafka import Broker
from tests.faults.kept import kept
from tests.faults.schedule import schedule
from tests.faults.schedules.kills import pause
from tests.faults.trial import Trial
from tests.support.brokers import Brokers, frozen, three_brokers


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def only(trial: Trial) -> Broker:
    assert isinstance(trial.brokers, Broker)
    return trial.brokers


def three(trial: Trial) -> Brokers:
    assert isinstance(trial.brokers, Brokers)
    return trial.brokers


@schedule(bound_s=420)
def broker_killed_and_restarted(trial: Trial) -> None:
    """The only broker is killed with -9 under load and started again, 5 times."""
    broker = only(trial)
    with kept(trial) as worker:
        for _ in range(trial.times(5, 1)):
            with trial.load():
                wait(1)
                pause(trial, 2)
                broker.kill()
                broker.start()
                pause(trial, 2)
            worker.until_steady()
    trial.settle()


@schedule(bound_s=420)
def broker_stopped_for_a_minute(trial: Trial) -> None:
    """The only broker is stopped with SIGTERM under load, stays away for 60 s, and is started again."""
    broker = only(trial)
    with kept(trial), trial.load(rate=100):
        wait(2)
        broker.stop()
        wait(trial.times(60, 8))
        broker.start()
    trial.settle()


@schedule(bound_s=420)
def broker_frozen_for_a_minute(trial: Trial) -> None:
    """The only broker gets SIGSTOP under load, and SIGCONT after 60 s: requests of before are still answered."""
    broker = only(trial)
    with kept(trial), trial.load(rate=100):
        wait(2)
        with frozen(broker):
            wait(trial.times(60, 8))
    trial.settle()


@schedule(bound_s=900, brokers=three_brokers)
def one_of_three_brokers_killed(trial: Trial) -> None:
    """Each of three brokers, twice, is killed with -9 under load and comes back: leaders and coordinators move."""
    brokers = three(trial)
    with kept(trial) as worker:
        for node in trial.dice.sample(sorted(brokers.nodes), 3)[: trial.times(3, 1)] * trial.times(2, 1):
            with trial.load(rate=200):
                wait(1)
                pause(trial, 2)
                brokers.nodes[node].kill()
                wait(8)
                brokers.nodes[node].start()
            brokers.until_whole(trial.kafka)
            worker.until_steady()
    trial.settle()


@schedule(bound_s=600, brokers=three_brokers)
def one_of_three_brokers_frozen(trial: Trial) -> None:
    """Each of three brokers freezes for 15 s under load: others lead, and it wakes up believing that it still does."""
    brokers = three(trial)
    with kept(trial) as worker:
        for node in trial.dice.sample(sorted(brokers.nodes), 3)[: trial.times(3, 1)]:
            with trial.load(rate=200):
                pause(trial, 2)
                with frozen(brokers.nodes[node]):
                    wait(15)
                wait(2)
            brokers.until_whole(trial.kafka)
            worker.until_steady()
    trial.settle()


@schedule(bound_s=600, brokers=three_brokers)
def brokers_restarted_one_after_the_other(trial: Trial) -> None:
    """A rolling restart of three brokers under load, as an upgrade does it; no worker stops for it."""
    brokers = three(trial)
    with kept(trial) as worker:
        for node in sorted(brokers.nodes)[: trial.times(3, 2)]:
            with trial.load(rate=200):
                pause(trial, 1)
                brokers.nodes[node].stop()
                brokers.nodes[node].start()
            brokers.until_whole(trial.kafka)
    assert not worker.stops, worker.stops
    trial.settle()


@schedule(bound_s=600, brokers=three_brokers)
def two_of_three_brokers_away(trial: Trial) -> None:
    """Two of three brokers are killed under load: nothing can be written for 20 s, then all goes on."""
    brokers = three(trial)
    with kept(trial), trial.load(rate=100):
        wait(1)
        down = [brokers.nodes[node] for node in trial.dice.sample(sorted(brokers.nodes), 2)]
        for broker in down:
            broker.kill()
        wait(trial.times(20, 10))
        for broker in down:
            broker.start()
        brokers.until_whole(trial.kafka, 120)
    trial.settle()
