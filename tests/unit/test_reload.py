"""A worker's settings read anew while it runs."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.config import Settings, load
from app.engine.readings import Complete
from app.worker.plan import plan_of
from app.worker.reload import Reload, settle
from tables.breaker import policies, scopes
from tables.saga import participants, retries

RIGHT = "resilience4j: {circuitbreaker: {instances: {pay: {slidingWindowSize: 20}}}}\niopt: {cache-size: 64MB}\n"
OTHER = RIGHT.replace("20", "30").replace("64MB", "32MB")
WRONG = OTHER.replace("iopt:", "iopt: {timer-wiat: 5s}\n---\niopt: ").replace("32MB", "many")
IOPT = Path(sys.executable).with_name("iopt")
HEARS = """\
import asyncio, fcntl, signal, sys, termios
from app.worker.hangup import hear

fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[2] else signal.SIG_DFL)  # these tests may run under nohup

async def main():
    asked = asyncio.Event()
    hear(asked.set)
    print("hears", flush=True)
    while True:
        await asked.wait()
        asked.clear()
        print("asked", flush=True)

asyncio.run(main())
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "application.yml"
    found.write_text(RIGHT)
    return found


@pytest.fixture
def events() -> Iterator[list[Any]]:
    with capture_logs() as found:
        yield found


class Reading:
    """`taken` are the settings that were handed over."""

    def __init__(self, file: Path) -> None:
        self.file, self.taken = file, list[Settings]()
        self.reload = Reload(load(file, {}), lambda: load(file, {}))

    def again(self, text: str) -> None:
        self.file.write_text(text)
        asyncio.run(self.reload.once(self.taken.append))


def test_what_may_change_is_handed_over_and_every_difference_is_told(file: Path, events: list[Any]) -> None:
    reading = Reading(file)
    reading.again(OTHER)
    [taken] = reading.taken
    assert taken is reading.reload.settings
    assert (taken.breaker_policy("pay").sliding_window_size, taken.cache_bytes) == (30, 64 << 20)
    assert events == [
        {
            "event": "setting_changed",
            "log_level": "warning",
            "setting": "iopt.cache-size",
            "old": "64MB",
            "new": "32MB",
            "where": f"{file}:2",
            "counts": "after a restart",
        },
        {
            "event": "setting_changed",
            "log_level": "info",
            "setting": "resilience4j.circuitbreaker.instances.pay.slidingWindowSize",
            "old": "20",
            "new": "30",
            "where": f"{file}:1",
            "counts": "from now on",
        },
        {"event": "settings_reloaded", "log_level": "info", "changed": 1, "after_a_restart": 1},
    ]


@pytest.mark.parametrize("text", [WRONG, "[", "[" * 500, "\0"])
def test_of_a_wrong_file_nothing_counts_and_the_next_right_one_does(file: Path, text: str, events: list[Any]) -> None:
    reading = Reading(file)
    before = reading.reload.settings
    reading.again(text)
    assert events[-1]["event"] == "settings_kept"
    assert reading.taken == []
    assert reading.reload.settings is before
    reading.again(OTHER)
    assert len(reading.taken) == 1


def test_a_file_that_is_gone_is_a_wrong_one(file: Path, events: list[Any]) -> None:
    reading = Reading(file)
    file.unlink()
    asyncio.run(reading.reload.once(reading.taken.append))
    assert [event["event"] for event in events] == ["setting_refused", "settings_kept"]
    assert reading.taken == []


def test_every_mistake_is_told_as_config_check_does(file: Path, events: list[Any]) -> None:
    Reading(file).again(WRONG)
    checked = subprocess.run([IOPT, "config", "check", file], capture_output=True, text=True, check=False)
    problems = [event["problem"] for event in events if event["event"] == "setting_refused"]
    assert problems == checked.stdout.splitlines()[:-1]
    assert events[-1] == {"event": "settings_kept", "log_level": "error", "problems": 2}


def test_a_notice_is_told_again_only_if_it_is_new(file: Path, events: list[Any]) -> None:
    file.write_text(f"{RIGHT}logging.x: 1\n")
    Reading(file).again(f"# moved\n{RIGHT}logging.x: 1\nmanagement.x: 1\n")
    notices = [event["notice"] for event in events if event["event"] == "setting"]
    assert notices == [f"management.x: accepted, without effect here ({file}:5)"]


async def test_asked_several_times_at_once_it_reads_once(file: Path) -> None:
    readings, taken = itertools.count(1), asyncio.Queue[int]()
    settings = load(file, {})
    reload = Reload(settings, lambda: settings)
    for _ in range(5):
        reload.ask()  # before anybody follows, too
    following = asyncio.create_task(reload.follow(lambda _: taken.put_nowait(next(readings))))
    assert await taken.get() == 1
    reload.ask()
    assert await taken.get() == 2
    following.cancel()


def test_the_next_record_is_decided_by_the_new_settings(file: Path) -> None:
    plan = plan_of(load(file, {}), [])
    readings = {view: Complete(view.name, look) for view, look in plan.settings.items()}
    worker: Any = SimpleNamespace(plan=plan, engine=SimpleNamespace(runtime=SimpleNamespace(readings=readings)))
    assert readings[policies]["pay"].sliding_window_size == 20
    unchanged = readings[participants].look
    file.write_text(OTHER + "---\niopt.breakers.pay.most: 7\nresilience4j.retry.instances.pay.maxAttempts: 9\n")
    settle(worker, load(file, {}))
    assert readings[policies]["pay"].sliding_window_size == 30
    assert readings[scopes]["pay"].most == 7
    assert readings[retries]["pay"].max_attempts == 9
    assert readings[participants].look is unchanged
    assert worker.plan.settings[policies]("pay") is readings[policies]["pay"]


def test_sighup_does_not_kill_a_worker_that_only_begins(tmp_path: Path) -> None:
    """It hangs where it reads its settings, until they come."""
    pipe = tmp_path / "application.yml"
    os.mkfifo(pipe)
    worker = subprocess.Popen([IOPT, "--config", pipe, "worker"], stderr=subprocess.PIPE, text=True)
    with pipe.open("w") as settings:
        worker.send_signal(signal.SIGHUP)
        settings.write(WRONG)
    _, told = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert "iopt.timer-wiat is not known" in told


@contextmanager
def in_a_terminal(ignores: bool) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A program that prints `asked` whenever it is, and its terminal. With `ignores` it is started as nohup does."""
    ours, theirs = os.openpty()

    program = subprocess.Popen(
        [sys.executable, "-c", HEARS, str(theirs), "nohup" if ignores else ""],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        pass_fds=[theirs],
    )
    os.close(theirs)
    with program:
        yield program, ours
        program.kill()


def line(program: subprocess.Popen[str]) -> str:
    assert program.stdout
    return program.stdout.readline().strip()


@pytest.mark.parametrize("ignores", [False, True])
def test_sighup_in_a_terminal_asks_for_the_settings(ignores: bool) -> None:
    with in_a_terminal(ignores) as (program, terminal):
        assert line(program) == "hears"
        for _ in range(2):
            program.send_signal(signal.SIGHUP)
            assert line(program) == "asked"
        os.close(terminal)


def test_who_closes_the_terminal_ends_the_worker_in_it() -> None:
    with in_a_terminal(ignores=False) as (program, terminal):
        assert line(program) == "hears"
        os.close(terminal)
        assert program.wait(timeout=60) == -signal.SIGHUP


def test_under_nohup_it_goes_on_without_a_terminal() -> None:
    with in_a_terminal(ignores=True) as (program, terminal):
        assert line(program) == "hears"
        os.close(terminal)
        assert line(program) == "asked"
        program.send_signal(signal.SIGHUP)
        assert line(program) == "asked"
