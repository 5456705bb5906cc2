"""Rule H1: what makes a worker unready, what makes it dead, and what is only named."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.structs import TopicPartition

from app.engine.broker.ends import Bounds
from app.engine.broker.fetch import Seen
from app.engine.broker.holders import Holder
from app.engine.health import pulse as module
from app.engine.health.pulse import Finding, Pulse
from app.engine.tasks.task import Waiting
from app.engine.tasks.timers import Held

AT = TopicPartition("orders", 0)
CLEAR = (7, Seen(0.0, 7, 7, 7, empty=True))


class Told:
    """A worker in the best of health, measured at a certain instant; `so` changes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        monkeypatch.setattr(module, "monotonic", lambda: self.now)
        self.logged: list[str] = []
        monkeypatch.setattr(module, "log", SimpleNamespace(error=lambda _, what: self.logged.append(what)))
        self.task = SimpleNamespace(name="saga-0", waiting=None, positions={"orders": 7}, committed={"orders": 7})
        self.owned = SimpleNamespace(
            task=self.task,
            ready=True,
            reading=True,
            state="ready",
            since=self.now,
            restored=0,
            left=0,
            chunks={},
            sources=[AT],
            timers=SimpleNamespace(held=None),
        )
        self.engine = SimpleNamespace(
            owned={("saga", 0): self.owned},
            ticked_at=self.now,
            assignment=SimpleNamespace(joining_since=None, roll=SimpleNamespace(wrong="")),
            transactions=SimpleNamespace(trouble=None),
            sight=lambda _: CLEAR,
        )
        self.view = SimpleNamespace(name="definitions", read=True)
        self.pulse = Pulse(cast(Any, self.engine), cast(Any, None), Path("nowhere"), [cast(Any, self.view)])
        self.log(7)

    def log(self, stable: int, end: int | None = None) -> None:
        """Where the log of the partition ends."""
        self.pulse._bounds = {AT: Bounds(0, stable, stable if end is None else end)}

    def at(self, committed: int, processed: int | None = None) -> None:
        self.task.committed = {"orders": committed}
        self.task.positions = {"orders": committed if processed is None else processed}

    def findings(self, after_s: float = 0.0) -> list[Finding]:
        self.now += after_s
        self.engine.ticked_at += after_s
        self.pulse._measure()
        self.pulse.progress.note_hidden(self.pulse._bounds, self.now)
        return self.pulse.findings()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


def verdict(findings: list[Finding]) -> tuple[bool, bool]:
    return any(finding.dead for finding in findings), any(finding.unready for finding in findings)


def test_h1_a_worker_that_has_nothing_to_do_is_ready_and_lives(told: Told) -> None:
    assert told.findings(3_600) == []
    told.engine.owned = {}
    assert told.findings() == []


def test_h1_joining_is_unready_at_once_and_dead_after_a_minute_unless_a_broker_is_away(told: Told) -> None:
    told.engine.assignment.joining_since = told.now
    assert verdict(told.findings(59)) == (False, True)
    assert verdict(told.findings(2)) == (True, True)
    told.pulse._away = (told.now, "KafkaConnectionError")
    assert verdict(told.findings(6)) == (False, True)


def test_t2_what_the_group_does_not_know_of_the_worker_is_named_and_unready(told: Told) -> None:
    told.engine.assignment.roll.wrong = "the group knows another address or topology of this worker"
    assert told.findings() == [Finding(told.engine.assignment.roll.wrong, unready=True)]


def test_h1_a_loop_that_does_not_run_is_dead_after_30_s(told: Told) -> None:
    told.engine.ticked_at -= 31
    told.pulse._viewed_at -= 31
    assert verdict(told.findings()) == (True, True)


def test_h1_views_that_are_being_read_are_unready_and_count_neither_as_joining_nor_as_a_loop(told: Told) -> None:
    told.view.read, told.engine.assignment.joining_since = False, told.now
    told.engine.ticked_at -= 600
    found = told.findings(600)
    assert verdict(found) == (False, True)
    assert found[0].what == "reading views: definitions"
    told.view.read = True
    assert verdict(told.findings(29)) == (False, True)


def test_h1_a_restore_is_named_with_its_progress_and_unready_after_30_s(told: Told) -> None:
    told.owned.ready = told.owned.reading = False
    told.owned.restored, told.owned.left = 400, 9_000
    told.log(9)
    assert verdict(told.findings(29)) == (False, False)
    assert told.findings()[0].what == "saga-0 restoring for 29 s, 400 rows read, 9000 offsets left"
    assert verdict(told.findings(2)) == (False, True)
    assert verdict(told.findings(3_600)) == (False, True), "a restore is never dead"


@pytest.mark.parametrize(
    ("chunks", "processed", "why"),
    [
        (0, 7, "nothing is fetched, the consumer is at 7"),
        (2, 7, "2 chunks were fetched and are not processed"),
        (0, 9, "processed up to 9 and not committed"),
    ],
)
def test_h1_a_partition_that_stands_for_a_minute_is_dead_and_named_with_its_reason(
    told: Told, chunks: int, processed: int, why: str
) -> None:
    told.findings(3_600)
    told.log(9)
    told.at(7, processed)
    told.owned.chunks = {"orders": chunks}
    assert verdict(told.findings()) == (False, False), "it stood for an hour with nothing to do"
    assert verdict(told.findings(60)) == (False, False)
    found = told.findings(1)
    assert verdict(found) == (True, False)
    assert [finding.what for finding in found] == [f"orders/0 of saga-0 stuck for 61 s at 7, 2 offsets to read: {why}"]
    told.findings(1)
    assert len(told.logged) == 1, "it is told once in the log"
    told.at(8, 9)
    assert told.findings() == [], "what moves is not stuck, however slow"


def test_h1_one_partition_that_stands_is_named_though_another_of_its_task_moves(told: Told) -> None:
    other = TopicPartition("replies", 0)
    told.owned.sources = [AT, other]
    told.pulse._bounds = {AT: Bounds(0, 99, 99), other: Bounds(0, 9, 9)}
    for second in range(70):
        told.task.committed = told.task.positions = {"orders": 7 + second // 9, "replies": 7}
        found = told.findings(1)
    assert [finding.what.partition(" ")[0] for finding in found] == ["replies/0"]


def test_h1_not_while_a_broker_is_away_which_is_unready(told: Told) -> None:
    told.findings()
    told.log(9)
    told.findings()
    told.engine.transactions.trouble = (told.now, "Produce: KafkaConnectionError")
    assert verdict(told.findings(4)) == (False, False)
    assert verdict(told.findings(90)) == (False, True)
    told.engine.transactions.trouble = None
    assert verdict(told.findings(59)) == (False, False), "it has a minute from when the broker is back"


def test_h1_a_hold_is_named_and_speaks_against_nothing(told: Told) -> None:
    told.log(9)
    told.findings()
    told.task.waiting, told.owned.reading = Waiting("definitions", "order/2"), False
    assert told.findings(600) == [Finding("saga-0 held: waits for order/2 of definitions")]


def test_h1_timers_that_are_held_are_named_and_do_not_excuse_a_partition_that_stands(told: Told) -> None:
    told.owned.timers.held = Held(AT, 7, told.now)
    assert told.findings(600) == [Finding("saga-0 timers held: orders/0 may still hide records")]
    told.log(9)
    told.findings()
    assert verdict(told.findings(61)) == (True, False)


def test_h1_marks_of_transactions_at_the_end_of_a_log_are_no_lag(told: Told) -> None:
    told.log(9)
    told.engine.sight = lambda _: (9, Seen(0.0, 9, 9, 9, empty=True))
    assert told.findings(600) == []
    told.at(7, 8)
    told.findings()
    assert told.pulse.progress.stands[AT].lag == 2, "there was a record among them that is not committed"


def test_h1_lag_counts_to_the_stable_offset_and_what_lies_beyond_is_held_after_a_minute(told: Told) -> None:
    told.log(7, end=20)
    assert told.findings() == []
    assert told.pulse.progress.stands[AT].lag == 0
    assert told.findings(60) == []
    assert [finding.what for finding in told.findings(1)] == ["orders/0 held: open transaction of unknown for 61 s"]
    told.pulse._holders[AT] = Holder(7, "reports-1")
    held = "orders/0 held: open transaction of reports-1 (producer 7) for 61 s"
    assert told.findings() == [Finding(held)]
    told.log(21)
    assert verdict(told.findings()) == (False, False)
    told.at(21)
    assert told.findings() == []


def test_h1_a_partition_on_which_one_transaction_follows_another_is_not_held(told: Told) -> None:
    for second in range(120):
        told.at(7 + second)
        told.log(7 + second, end=20 + second)
        assert told.findings(1) == []
