"""The short cut of the schedules that bring brokers of their own: a line that stalls, a broker of three that dies; and
of damaged stores.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.schedule import all_schedules
from tests.faults.trial import trial

BOUND_S = 400


def play(name: str, directory: Path) -> None:
    seed, schedule = random.randrange(1_000_000), all_schedules()[name]
    print(f"python -m tests.faults --only {name} --seed {seed} --short")  # noqa: T201  pytest shows it when it fails
    with (
        schedule.brokers(directory / "kafka") as brokers,
        trial(brokers, seed, short=True, directory=directory) as made,
    ):
        schedule.does(made)


@pytest.mark.timeout(BOUND_S)
def test_t3_a_worker_whose_connections_were_paused_commits_nothing_of_what_went_to_another(tmp_path: Path) -> None:
    play("connections_paused_beyond_the_session", tmp_path)


@pytest.mark.timeout(BOUND_S)
def test_x4_leaders_and_coordinators_move_when_one_of_three_brokers_dies(tmp_path: Path) -> None:
    play("one_of_three_brokers_killed", tmp_path)


@pytest.mark.timeout(BOUND_S)
def test_x3_answers_that_are_lost_with_their_connections_change_nothing(tmp_path: Path) -> None:
    play("connections_reset", tmp_path)


@pytest.mark.timeout(BOUND_S)
def test_r3_no_flipped_bit_changes_what_comes_out(tmp_path: Path) -> None:
    play("bytes_flipped_in_stores", tmp_path)
