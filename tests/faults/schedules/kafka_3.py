"""Kafka 3.9, whose transactions are of version 1 (X5): all faults in which a broker has a part, once more.

Clocks, a worker's own disk, its definitions and states know no broker: what is done to them is done on Kafka 4 alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from deploy.kafka import KAFKA_3
from tests.faults.schedule import Schedule, all_of, one_broker, schedule
from tests.faults.schedules import brokers, inputs, kills, network, positions, rebalances, transactions, zombies
from tests.faults.trial import Trial
from tests.support.brokers import proxied_broker, three_brokers

KINDS = (kills, brokers, network, zombies, rebalances, positions, inputs, transactions)
OTHERWISE = ("killed_at_random", "more_than_32767_transactions")
OF_KAFKA_3: dict[Callable[..., Any], Callable[..., Any]] = {
    made: partial(made, release=KAFKA_3) for made in (one_broker, proxied_broker, three_brokers)
}
kafka_3 = OF_KAFKA_3[one_broker]


def again(known: Schedule) -> None:
    def does(trial: Trial) -> None:
        known.does(trial)

    does.__name__, does.__doc__ = f"kafka_3_{known.name}", f"On Kafka 3.9: {known.what}"
    schedule(known.bound_s, OF_KAFKA_3[known.brokers])(does)


for kind in KINDS:
    for found in all_of(kind.__name__):
        if found.name not in OTHERWISE:
            again(found)


@schedule(bound_s=600, brokers=kafka_3)
def kafka_3_killed_at_random(trial: Trial) -> None:
    """On Kafka 3.9: of three workers under load one is killed and started again, 60 times; one in ten finds no disk."""
    kills.kill_at_random(trial, trial.times(60, 10))


@schedule(bound_s=300, brokers=kafka_3)
def kafka_3_more_than_32767_transactions(trial: Trial) -> None:
    """On Kafka 3.9, where transactions use up no epoch but starts of workers do: it runs over, across two kills."""
    transactions.run_over(trial, left=1)
