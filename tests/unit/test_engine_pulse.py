"""Rule H1: what makes a worker unready, what makes it dead, and what is only named."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.structs import TopicPartition

from app.engine import pulse as module
from app.engine.fetch import Seen
from app.engine.pulse import Finding, Pulse
from app.engine.task import Waiting
from app.engine.timers import Held

AT = TopicPartition("orders", 0)
CLEAR = (7, Seen(0.0, 7, 7, 7, empty=True))


class Told:
    """A worker in the best of health, seen at a certain instant; `so` changes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        monkeypatch.setattr(module, "monotonic", lambda: self.now)
        self.task = SimpleNamespace(name="saga-0", waiting=None, positions={"orders": 7})
        self.owned = SimpleNamespace(
            task=self.task,
            ready=True,
            state="ready",
            since=self.now,
            moved_at=self.now,
            left=0,
            sources=[AT],
            timers=SimpleNamespace(held=None),
        )
        self.engine = SimpleNamespace(
            owned={("saga", 0): self.owned},
            ticked_at=self.now,
            assignment=SimpleNamespace(joining_since=None),
            transactions=SimpleNamespace(trouble=None),
            sight=lambda _: CLEAR,
        )
        self.pulse = Pulse(cast(Any, self.engine), cast(Any, None), Path("nowhere"))

    def findings(self, after_s: float = 0.0) -> list[Finding]:
        self.now += after_s
        self.engine.ticked_at += after_s
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


def test_h1_joining_is_unready_at_once_and_dead_after_a_minute(told: Told) -> None:
    told.engine.assignment.joining_since = told.now
    assert verdict(told.findings(59)) == (False, True)
    assert verdict(told.findings(2)) == (True, True)


def test_h1_a_loop_that_does_not_run_is_dead_after_30_s(told: Told) -> None:
    told.engine.ticked_at -= 31
    assert verdict(told.findings()) == (True, True)


def test_h1_a_restore_is_named_and_unready_after_30_s(told: Told) -> None:
    told.owned.ready, told.owned.left = False, 9_000
    assert verdict(told.findings(29)) == (False, False)
    assert told.findings()[0].what == "saga-0 restoring for 29 s, 9000 offsets left"
    assert verdict(told.findings(2)) == (False, True)


def test_h1_records_that_nobody_moves_are_dead_after_a_minute(told: Told) -> None:
    told.engine.sight = lambda _: (7, Seen(0.0, 7, 9, 9, empty=False))
    assert verdict(told.findings(59)) == (False, False)
    findings = told.findings(2)
    assert verdict(findings) == (True, False)
    assert "2 records to read" in findings[0].what


def test_h1_not_while_the_broker_is_away_which_is_unready(told: Told) -> None:
    told.engine.sight = lambda _: (7, Seen(0.0, 7, 9, 9, empty=False))
    told.engine.transactions.trouble = (told.now, "Produce: KafkaConnectionError")
    assert verdict(told.findings(4)) == (False, False)
    assert verdict(told.findings(90)) == (False, True)


def test_h1_a_hold_is_named_and_speaks_against_nothing(told: Told) -> None:
    told.engine.sight = lambda _: (7, Seen(0.0, 7, 9, 9, empty=False))
    told.task.waiting = Waiting("definitions", "order/2")
    assert told.findings(600) == [Finding("saga-0 held: waits for order/2 of definitions")]
    told.task.waiting = None
    told.owned.timers.held = Held(AT, 7, told.now)
    assert told.findings() == [Finding("saga-0 timers held: orders/0 may still hide records")]


def test_h1_lag_counts_to_the_stable_offset_and_what_lies_beyond_is_held_after_a_minute(told: Told) -> None:
    told.engine.sight = lambda _: (7, Seen(0.0, 7, 20, 9, empty=False))
    assert told.pulse.lag(cast(Any, told.owned)) == {AT: 2}
    told.engine.sight = lambda _: (7, Seen(0.0, 7, 20, 7, empty=True))
    told.pulse._note_open_transactions()
    assert told.findings(59) == []
    assert [finding.what for finding in told.findings(2)] == ["orders/0 held: open transaction of producer None"]
    told.engine.sight = lambda _: CLEAR
    told.pulse._note_open_transactions()
    assert told.findings() == []
