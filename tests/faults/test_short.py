"""A short cut of `make faults`, for every commit: a worker that dies anywhere, at any time, changes nothing (F2).

`python -m tests.faults --list` names all schedules.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.schedule import all_schedules
from tests.faults.trial import trial
from tests.support.kafka import Kafka

BOUND_S = 400


def play(name: str, kafka: Kafka, directory: Path) -> None:
    seed = random.randrange(1_000_000)
    print(f"python -m tests.faults --only {name} --seed {seed} --short")  # noqa: T201  pytest shows it when it fails
    with trial(kafka, seed, short=True, directory=directory) as made:
        all_schedules()[name].does(made)


@pytest.mark.timeout(BOUND_S)
def test_f2_killed_at_every_fault_point_nothing_is_lost_and_nothing_comes_twice(kafka: Kafka, tmp_path: Path) -> None:
    play("killed_at_fault_points", kafka, tmp_path)


@pytest.mark.timeout(BOUND_S)
def test_x5_killed_at_every_fault_point_in_transactions_of_version_1(kafka_version_1: Kafka, tmp_path: Path) -> None:
    play("killed_at_fault_points", kafka_version_1, tmp_path)


@pytest.mark.timeout(BOUND_S)
def test_f2_killed_twenty_times_at_random_nothing_is_lost_and_nothing_comes_twice(kafka: Kafka, tmp_path: Path) -> None:
    """Of three workers one, again and again; one in ten finds no disk."""
    play("killed_at_random", kafka, tmp_path)
