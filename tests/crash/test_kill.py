"""Rule F2: a worker that dies anywhere, at any time, with its disk or without, changes nothing of what comes out."""

from __future__ import annotations

import random
import shutil
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from app.engine.driver import Driver
from app.engine.faults import POINTS
from tests.support.accounts import Accounts, by_key, names_on
from tests.support.kafka import wait_for
from tests.support.toy import Account, Addition, Sum, toy
from tests.support.workers import PARTITIONS, Process

SEED = 20_260_711
ACTS = ["add"] * 12 + ["refuse", "break", "delete"]
CHANCES = {"during_restore": 1}


class Scenario:
    """Additions of all kinds, the same for the driver and for Kafka."""

    def __init__(self) -> None:
        self._dice, self._made = random.Random(SEED), 0
        self.records: list[tuple[str, bytes]] = []

    def more(self, count: int) -> list[tuple[str, bytes]]:
        fresh = [self._one() for _ in range(count)]
        self.records += fresh
        return fresh

    def _one(self) -> tuple[str, bytes]:
        self._made += 1
        kind = self._dice.random()
        if kind < 0.02:
            return f"a-{self._made % 50}", b"{"
        if kind < 0.04:
            return "wrong", encoded(Addition(f"misplaced-{self._made}", 1))
        if kind < 0.08:
            return timed(Addition(f"timed-{self._made}", 1, 300))
        if kind < 0.1:  # an account of its own: the next state of the key would make it storable again
            return timed(Addition(f"unstorable-{self._made}", 1, act="unstorable"))
        act = self._dice.choice(ACTS)
        return timed(Addition(f"a-{self._dice.randrange(50)}", self._made, act=act))

    def last(self) -> list[tuple[str, bytes]]:
        """One for each partition: once their sums are there, everything before them is committed."""
        ends = [timed(Addition(*names_on(number, 1, "last"), 1)) for number in range(PARTITIONS)]
        self.records += ends
        return ends


def encoded(addition: Addition) -> bytes:
    return msgspec.json.encode(addition)


def timed(addition: Addition) -> tuple[str, bytes]:
    return addition.account, encoded(addition)


class Outcome(NamedTuple):
    sums: dict[str, list[Sum]]
    alarms: dict[str, list[Sum]]
    letters: dict[str, list[tuple[bytes | None, str]]]
    states: dict[str, Account]


def expected(row: Accounts, scenario: Scenario) -> Outcome:
    of = toy(row.prefix)
    driver = Driver([of.processor])
    for key, value in scenario.records:
        driver.send(of.additions, key, value)
    driver.advance("1h")
    letters = defaultdict(list)
    for letter in driver.dead(of.additions):
        letters[(letter.key or b"").decode()].append((letter.value, letter.reason))
    return Outcome(
        grouped(driver.outputs(of.sums)), grouped(driver.outputs(of.alarms)), dict(letters), driver.table(of.accounts)
    )


def grouped(outputs: Sequence[tuple[str, Sum]]) -> dict[str, list[Sum]]:
    found = defaultdict(list)
    for key, value in outputs:
        found[key].append(value)
    return dict(found)


def found(row: Accounts) -> Outcome:
    letters = defaultdict(list)
    for record in row.kafka.read_all(row.dead_letters):
        letters[record.key or ""].append((record.value, dict(record.headers)["iopt-dlq-reason"].decode()))
    kafka = row.kafka
    sums, alarms = (by_key(kafka.read_all(topic)) for topic in (row.sums_topic, row.alarms_topic))
    return Outcome(sums, alarms, dict(letters), row.logged().states)


def assert_equal_to_the_driver(row: Accounts, scenario: Scenario) -> None:
    row.kafka.write(row.additions, *scenario.last())
    wanted = expected(row, scenario)
    count = sum(map(len, wanted.sums.values()))
    row.until_summed(count, within_s=60)
    row.until_alarmed(*wanted.alarms, within_s=60)
    worker = row.workers.all[-1]
    assert worker.stop() == 0
    got = found(row)
    assert got.sums == wanted.sums
    assert got.alarms == wanted.alarms
    assert got.letters == wanted.letters
    assert got.states == wanted.states
    positions = {(topic, n): at for n, of in row.logged().positions.items() for topic, at in of.items()}
    assert row.kafka.committed(row.group) == positions
    ends = row.kafka.end_offsets(row.additions)
    assert all(at <= ends[number] for (_, number), at in positions.items())


@contextmanager
def load(row: Accounts, scenario: Scenario) -> Iterator[None]:
    stopped = threading.Event()

    def write() -> None:
        while not stopped.is_set():
            row.kafka.write(row.additions, *scenario.more(40))
            stopped.wait(0.1)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        yield
    finally:
        stopped.set()
        writing.join()


def test_f2_killed_at_every_fault_point_nothing_is_lost_and_nothing_comes_twice(toy_row: Accounts) -> None:
    """Records keep coming, so that each point is passed until it kills; a restore ends, so it kills at once."""
    scenario = Scenario()
    toy_row.workers.ready().kill()
    with load(toy_row, scenario):
        for point in POINTS:
            if point == "during_restore":
                shutil.rmtree(toy_row.workers.data / "0" / "stores")
            doomed = toy_row.workers.start(fault=f"kill@{point}:{CHANCES.get(point, 0.5)}")
            assert doomed.wait(40) == -signal.SIGKILL, point
    toy_row.workers.ready()
    assert_equal_to_the_driver(toy_row, scenario)


def test_f2_killed_twenty_times_at_random_nothing_is_lost_and_nothing_comes_twice(toy_row: Accounts) -> None:
    """With small restores in between: a store flushed at its close, then a tail, then the next kill."""
    scenario, dice, never = Scenario(), random.Random(SEED), threading.Event()
    toy_row.workers.ready().stop()
    with load(toy_row, scenario):
        for death in range(20):
            if death % 5 == 4:
                shutil.rmtree(toy_row.workers.data / "0" / "stores")
            doomed = toy_row.workers.start()
            until_some_are_ready(doomed, dice.randrange(5))
            never.wait(dice.random() * 0.5)
            doomed.kill()
    toy_row.workers.ready()
    assert_equal_to_the_driver(toy_row, scenario)


def until_some_are_ready(worker: Process, tasks: int) -> None:
    wait_for(lambda: len(worker.events("task_ready")) >= tasks, f"{tasks} tasks")
