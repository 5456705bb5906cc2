"""Kafka 3.9, whose transactions are of version 1 (X5): the faults in which its end may be doubted, once more."""

from __future__ import annotations

from functools import partial

from deploy.kafka import KAFKA_3
from tests.faults.schedule import one_broker, schedule
from tests.faults.schedules.brokers import broker_killed_and_restarted
from tests.faults.schedules.kills import kill_at_random, killed_at_fault_points
from tests.faults.schedules.network import connections_reset, connections_stalled
from tests.faults.schedules.zombies import frozen_at_fault_points
from tests.faults.trial import Trial
from tests.support.brokers import proxied_broker

kafka_3 = partial(one_broker, release=KAFKA_3)
proxied_kafka_3 = partial(proxied_broker, release=KAFKA_3)


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


@schedule(bound_s=300, brokers=proxied_kafka_3)
def kafka_3_connections_reset(trial: Trial) -> None:
    """On Kafka 3.9: all connections of the worker are reset under load, 60 times: answers to EndTxn are lost."""
    connections_reset(trial)


@schedule(bound_s=300, brokers=proxied_kafka_3)
def kafka_3_connections_stalled(trial: Trial) -> None:
    """On Kafka 3.9: nothing moves for up to 3 s, and then everything that was held arrives, 10 times."""
    connections_stalled(trial)
