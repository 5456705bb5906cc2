"""Rule C1: the clock of a worker, and of a task that has seen a later time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.engine.tasks import clock as module
from app.engine.tasks.clock import Clock, TaskClock
from app.telemetry import metrics

HOUR_MS = 3_600_000


def test_c1_a_jump_of_the_wall_moves_no_clock_and_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at = SimpleNamespace(wall=1_000.0, monotonic=50.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: at.wall, monotonic=lambda: at.monotonic))
    clock = Clock()
    for jump_s, told_ms in ((3_600, HOUR_MS), (-7_200, -2 * HOUR_MS), (4, 0), (3_600, HOUR_MS)):
        before_ms = clock.now_ms()
        at.wall += jump_s
        assert (clock.now_ms(), clock.jumped_ms(), clock.jumped_ms()) == (before_ms, told_ms, 0)
        at.wall, at.monotonic = at.wall + 1, at.monotonic + 1
        assert (clock.now_ms(), clock.jumped_ms()) == (before_ms + 1_000, 0)


def test_c1_a_jump_of_the_wall_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    at = SimpleNamespace(wall=1_000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: at.wall, monotonic=lambda: 50.0))
    clock, before = Clock(), metrics.CLOCK_JUMPS.samples()[()]
    for jump_s in (3_600, -3_600, 4):
        at.wall += jump_s
        clock.tell_of_jump()
    assert metrics.CLOCK_JUMPS.samples()[()] == before + 2


def test_c1_a_task_that_is_ahead_goes_on_at_half_speed_until_the_clock_has_caught_up() -> None:
    clock = TaskClock()
    assert clock.now_ms(5_000) == 5_000
    clock.start(HOUR_MS, 0)
    seen = [clock.now_ms(at) for at in (0, 10_000, HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS)]
    assert seen == [HOUR_MS, HOUR_MS + 5_000, HOUR_MS + HOUR_MS // 2, 2 * HOUR_MS, 3 * HOUR_MS]


def test_c1_opened_again_it_goes_on_from_where_it_was() -> None:
    """A task that has decided nothing meanwhile has not lost the time."""
    clock = TaskClock()
    clock.start(HOUR_MS, 0)
    clock.start(HOUR_MS, 600_000)
    assert clock.now_ms(600_000) == HOUR_MS + 300_000


def test_c1_a_task_that_is_not_ahead_has_the_workers_time() -> None:
    clock = TaskClock()
    clock.start(1_000, 2_000)
    assert [clock.now_ms(at) for at in (2_000, 2_500, HOUR_MS)] == [2_000, 2_500, HOUR_MS]
