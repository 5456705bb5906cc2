from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from deploy.supervisor import Supervised, restarts


def exits_in_turn(tmp_path: Path, *codes: str) -> list[str]:
    """A process whose n-th life ends with the n-th of `codes`."""
    lives = tmp_path / "lives"
    script = (
        "import os, sys, pathlib\n"
        f"lives = pathlib.Path({str(lives)!r})\n"
        "n = len(lives.read_text()) if lives.exists() else 0\n"
        "lives.write_text('x' * (n + 1))\n"
        f"code = {list(codes)!r}[n]\n"
        "os.kill(os.getpid(), 9) if code == 'killed' else sys.exit(int(code))\n"
    )
    return [sys.executable, "-c", script]


@pytest.mark.parametrize(
    ("code", "again"), [(0, False), (1, False), (2, False), (3, False), (4, True), (-signal.SIGKILL, True)]
)
def test_only_a_definite_error_or_a_signal_is_restarted(code: int, again: bool) -> None:
    assert restarts(code) is again


def test_it_comes_back_until_it_ends_for_good(tmp_path: Path) -> None:
    worker = Supervised(exits_in_turn(tmp_path, "4", "killed", "0"))
    assert asyncio.run(worker.run()) == 0
    assert worker.deaths == [4, -signal.SIGKILL]


def test_a_refusal_is_not_restarted(tmp_path: Path) -> None:
    worker = Supervised(exits_in_turn(tmp_path, "1"))
    assert asyncio.run(worker.run()) == 1
    assert worker.deaths == []


def test_cancelling_stops_the_process() -> None:
    async def scene() -> Supervised:
        worker = Supervised([sys.executable, "-c", "import time; time.sleep(60)"])
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(worker.up.wait(), 10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return worker

    assert not asyncio.run(scene()).kill()
