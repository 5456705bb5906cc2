"""Workers that come, go, freeze and fight: rules T3 to T7, R4 and F1."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.accounts import Accounts, accounts, load
from tests.support.kafka import Kafka, wait_for
from tests.support.toy import Addition
from tests.support.workers import Process

NAMES = [f"a-{n}" for n in range(60)]


def additions(times: int = 1, alarm_ms: int = 0) -> list[Addition]:
    return [Addition(name, 1, alarm_ms) for name in NAMES] * times


def tasks(*workers: Process) -> list[str]:
    """Of each worker those that it has taken."""
    return [event["task"] for worker in workers for event in worker.events("task_ready")]


def test_t5_workers_of_one_host_take_slots_and_t6_one_restarts_without_the_others(toy_row: Accounts) -> None:
    """A static member is back within its session: nobody else notices. SIGTERM: exit 0, within the drain's limit."""
    first = toy_row.workers.ready(session_s=12.0)
    second = toy_row.workers.start(session_s=12.0)
    second.until("task_ready", lambda events: len(events) >= 2)
    wait_for(lambda: len(tasks(first)) >= 6, "the first to have its half again")
    directories = [toy_row.workers.data / str(n) for n in (0, 1)]
    instances = {json.loads((directory / "instance.json").read_text())["instance"] for directory in directories}
    assert len(instances) == 2
    halves = [{path.name for path in (directory / "stores").iterdir()} for directory in directories]
    assert len(halves[1]) == 2
    toy_row.add(*additions(5))
    toy_row.until_summed()

    before = len(tasks(first))
    begun = time.monotonic()
    assert second.stop() == 0
    assert time.monotonic() - begun < 6
    back = toy_row.workers.start(session_s=12.0)
    back.until("task_ready", lambda events: {event["task"] for event in events} == halves[1])
    toy_row.add(*additions(5))
    toy_row.until_summed()
    assert len(tasks(first)) == before
    assert {path.name for path in (directories[1] / "stores").iterdir()} == halves[1]

    second_time = [back.stop(), first.stop()]
    assert second_time == [0, 0]
    toy_row.assert_exact()


def test_t6_of_two_with_one_instance_id_the_older_exits_3_and_the_newer_goes_on(toy_row: Accounts) -> None:
    older = toy_row.workers.ready()
    toy_row.add(*additions())
    toy_row.until_summed()
    mine = json.loads((toy_row.workers.data / "0" / "instance.json").read_text())
    copied = toy_row.workers.directory / "copied" / "0"
    copied.mkdir(parents=True)
    shutil.copy(toy_row.workers.data / "0" / "instance.json", copied)
    assert renewed(copied, mine["instance"]), "a copy of the directory alone would be another member"
    newer = toy_row.workers.ready(data="copied")
    assert older.wait() == 3
    assert "FencedInstanceId" in older.events("worker_failed")[0]["error"]
    toy_row.add(*additions())
    toy_row.until_summed()
    assert newer.code is None
    assert newer.stop() == 0
    toy_row.assert_exact()


def renewed(directory: Path, instance: str) -> bool:
    """Make the copied identity valid where it is now."""
    file = directory / "instance.json"
    said = json.loads(file.read_text())
    was_of_another = bool(said["path"] != str(directory))
    file.write_text(json.dumps({"instance": instance, "host": socket.gethostname(), "path": str(directory.resolve())}))
    return was_of_another


def test_t3_a_frozen_worker_commits_nothing_of_what_went_to_another(toy_row: Accounts) -> None:
    """It stops itself between its outputs and the end of their transaction, and wakes up when its claim is stale."""
    frozen = toy_row.workers.ready(data="one", fault="stop@before_end:0.2")
    stopped = threading.Event()

    def load() -> None:
        while not stopped.is_set():
            toy_row.add(*additions())
            stopped.wait(0.05)

    writing = threading.Thread(target=load)
    writing.start()
    try:
        wait_for(lambda: "stop@before_end" in frozen.log.read_text(), "the worker to freeze")
        heir = toy_row.workers.ready(data="two")
    finally:
        stopped.set()
        writing.join()
    toy_row.until_summed()
    frozen.signal(signal.SIGCONT)
    assert frozen.wait() in (3, 4)
    toy_row.add(*additions())
    toy_row.until_summed()
    assert heir.stop() == 0
    toy_row.assert_exact()


def test_r4_a_storm_of_ten_joins_and_leaves_loses_and_repeats_nothing(toy_row: Accounts) -> None:
    """F1: a fetch that straddles a rebalance must not skip what it had read."""
    steady = toy_row.workers.ready(leave=True, data="steady")
    with load(toy_row, lambda: additions(3, 50), pause_s=0.1):
        for turn in range(5):
            guest = toy_row.workers.start(leave=True, data=f"guest-{turn % 2}")
            guest.until("task_ready", lambda events: len(events) >= 2)
            assert guest.stop() == 0
    toy_row.until_summed(within_s=60)
    assert steady.code is None
    assert steady.stop() == 0
    assert len(steady.events("task_ready")) >= 10 * 2
    toy_row.assert_exact()
    alarms = toy_row.alarms()
    assert set(alarms) == set(NAMES)


@pytest.fixture
def broken(kafka: Kafka, prefix: str, tmp_path: Path) -> Iterator[dict[str, Process]]:
    """A worker for each thing that can be broken, each in a group of its own, all at once."""
    fleets: list[Any] = []
    found = {}
    for place in ("assignor", "listener", "coordinator"):
        directory = tmp_path / place
        directory.mkdir()
        fleets.append(accounts(kafka, f"{prefix}{place}.", directory))
        found[place] = fleets[-1].__enter__().workers.start(sabotage=place)
    yield found
    for fleet in fleets:
        fleet.__exit__(None, None, None)


def test_t7_an_error_in_the_group_ends_the_worker_and_is_logged(broken: dict[str, Process]) -> None:
    for place, worker in broken.items():
        assert worker.wait(30) == 4, place
        assert any("Sabotage" in event["error"] for event in worker.events("worker_failed")), worker.tail()
