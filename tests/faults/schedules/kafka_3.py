"""Kafka 3.9, whose transactions are of version 1 (X5): the faults in which its end may be doubted, once more."""

from __future__ import annotations

from functools import partial

from deploy.kafka import KAFKA_3
from tests.faults.schedule import one_broker, schedule
from tests.faults.schedules.brokers import broker_killed_and_restarted
from tests.faults.schedules.kills import kill_at_random, killed_at_fault_points
from tests.faults.schedules.zombies import frozen_at_fault_points
from tests.faults.trial import Trial

kafka_3 = partial(one_broker, release=KAFKA_3)


@schedule(bound_s=600, brokers=kafka_3)
def kafka_3_killed_at_fault_points(trial: Trial) -> None:
    """On Kafka 3.9: a worker kills itself at each of the engine's fault points, 10 times each."""
    killed_at_fault_points(trial)


@schedule(bound_s=600, brokers=kafka_3)
def kafka_3_killed_at_random(trial: Trial) -> None:
    """On Kafka 3.9: of three workers under load one is killed and started again, 60 times; one in ten finds no disk."""
    kill_at_random(trial, trial.times(60, 10))


@schedule(bound_s=420, brokers=kafka_3)
def kafka_3_frozen_at_fault_points(trial: Trial) -> None:
    """On Kafka 3.9: a worker stops itself at each fault point, another takes over, it wakes up; twice each."""
    frozen_at_fault_points(trial)


@schedule(bound_s=300, brokers=kafka_3)
def kafka_3_broker_killed_and_restarted(trial: Trial) -> None:
    """On Kafka 3.9: the broker is killed with -9 under load and started again."""
    broker_killed_and_restarted(trial)
