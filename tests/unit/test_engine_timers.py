"""Rule C3: when a task's timers may fire, by what the consumer has seen of its sources."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from app.engine.broker.fetch import Seen
from app.engine.driver import EPOCH_MS
from app.engine.tasks import timers as module
from app.engine.tasks.timers import Reading, Timers
from app.telemetry import metrics
from tests.support.one_task import A, B, Bench, records
from tests.support.toy import Addition

AT = TopicPartition("unit.additions", 0)
OTHER = TopicPartition("unit.replies", 0)
DUE = EPOCH_MS + 1_000
NOW = DUE + 500
WAIT_S = 60.0


ALL_READ = Reading()


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        monkeypatch.setattr(module, "monotonic", lambda: self.now)

    def ago(self, ms: int) -> float:
        return self.now - ms / 1_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def bench() -> Bench:
    """A's alarm is due at DUE, B's 400 ms later."""
    made = Bench()
    made.process(records([Addition(A, 1, 1_000), Addition(B, 1, 1_400)]))
    made.commit()
    made.sent.clear()
    return made


def fired(
    bench: Bench, sight: Any, read: Reading = ALL_READ, *, by: Timers | None = None, now_ms: int = NOW
) -> list[str]:
    own = by or Timers(bench.task, [AT], WAIT_S)
    assert own.look(now_ms)
    own.fire(now_ms, sight, {AT.topic: read})
    bench.commit()
    keys = [(out.key or b"").decode() for out in bench.sent]
    bench.sent.clear()
    return keys


def seen(asked_at: float, *, position: int = 7, **what: Any) -> Any:
    """Everything up to 7 is read, but for `what`."""
    answer = Seen(asked_at, 7, 7, 7, empty=True)._replace(**what)
    return lambda _: (position, answer)


def test_c3_an_empty_fetch_at_the_high_watermark_that_was_asked_after_the_due_lets_it_fire(
    bench: Bench, clock: Clock
) -> None:
    assert fired(bench, seen(clock.ago(0))) == [A, B]


def test_c3_only_what_was_due_when_it_was_asked(bench: Bench, clock: Clock) -> None:
    """B became due after the question: an answer to B may have come since."""
    assert fired(bench, seen(clock.ago(200))) == [A]
    assert fired(bench, seen(clock.ago(0))) == [B]


@pytest.mark.parametrize(
    "what",
    [
        {"asked": 600},
        {"high_watermark": 9},  # an open transaction hides something
        {"stable_offset": 6},
        {"empty": False},
        {"position": 8},  # records are on their way
    ],
    ids=str,
)
def test_c3_anything_else_holds_it(bench: Bench, clock: Clock, what: dict[str, Any]) -> None:
    asked = clock.ago(what.pop("asked", 0))
    assert fired(bench, seen(asked, **what)) == []
    assert fired(bench, lambda _: None) == []
    assert fired(bench, lambda _: (7, None)) == []


def test_c3_what_is_delivered_and_not_processed_holds_it(bench: Bench, clock: Clock) -> None:
    assert fired(bench, seen(clock.ago(0)), Reading(done=False)) == []


def test_c3_a_processed_record_that_is_not_older_than_the_due_shows_that_all_before_it_are_read(
    bench: Bench, clock: Clock
) -> None:
    hidden = seen(clock.ago(0), high_watermark=9)
    assert fired(bench, hidden, Reading(DUE - 1, done=False)) == []
    assert fired(bench, hidden, Reading(DUE, done=False)) == [A]
    assert fired(bench, hidden, Reading(NOW, done=False)) == [B]


def test_c3_every_source_counts(bench: Bench, clock: Clock) -> None:
    own = Timers(bench.task, [AT, OTHER], WAIT_S)
    clear, hidden = seen(clock.ago(0)), seen(clock.ago(0), high_watermark=9)
    assert fired(bench, lambda at: (clear if at == AT else hidden)(at), by=own) == []
    assert own.held is not None
    assert own.held.at == OTHER
    assert fired(bench, clear, by=own) == [A, B]


def test_c3_the_wait_ends_for_a_partition_that_does_not_move_and_only_for_that(bench: Bench, clock: Clock) -> None:
    own = Timers(bench.task, [AT, OTHER], WAIT_S)
    stuck, late = seen(clock.ago(0), high_watermark=9), metric()
    assert fired(bench, stuck, by=own) == []
    clock.now += WAIT_S / 2
    moved = {"position": 8, "offset": 8, "high_watermark": 9, "stable_offset": 8}
    assert fired(bench, seen(clock.ago(0), **moved), by=own) == [], "a backlog that is being read is waited out"
    clock.now += WAIT_S / 2
    assert fired(bench, seen(clock.ago(0), **moved), by=own) == []
    clock.now += WAIT_S / 2
    assert fired(bench, seen(clock.ago(0), **moved), by=own) == [A, B]
    assert metric() - late == 2


@pytest.mark.parametrize("what", [{"empty": False}, {"position": 8}, {"high_watermark": 9, "position": 8}], ids=str)
def test_c3_records_on_their_way_are_waited_out_however_long_they_take(
    bench: Bench, clock: Clock, what: dict[str, Any]
) -> None:
    own = Timers(bench.task, [AT], WAIT_S)
    for _ in range(3):
        assert fired(bench, seen(clock.ago(0), **what), by=own) == []
        assert fired(bench, seen(clock.ago(0), high_watermark=9), Reading(done=False), by=own) == []
        clock.now += WAIT_S


def test_c3_a_broker_that_does_not_answer_is_waited_out(bench: Bench, clock: Clock) -> None:
    """What it answered last does not say what lies there now."""
    own = Timers(bench.task, [AT], WAIT_S)
    hidden, nothing = seen(clock.ago(0), high_watermark=9), seen(clock.ago(2_000))
    for last in (hidden, nothing, lambda _: (7, None)):
        for _ in range(3):
            assert fired(bench, last, by=own) == []
            clock.now += WAIT_S


def metric() -> float:
    return dict(metrics.TIMERS_HELD.samples())[()]


def test_c3_an_index_entry_that_is_met_early_does_not_fire_before_its_partitions_are_clear(
    bench: Bench, clock: Clock
) -> None:
    """A's deadline moved from DUE to DUE + 300; the old entry is met first, when only DUE + 100 is clear."""
    bench.process(records([Addition(A, 1, 300 + 1_000)], first=2))
    bench.commit()
    bench.sent.clear()
    assert fired(bench, seen(clock.ago(400))) == []
    assert fired(bench, seen(clock.ago(150))) == [A]
