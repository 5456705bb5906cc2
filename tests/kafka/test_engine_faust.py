"""Rule D2: what runs is a Faust app, and Faust's own command lists its agents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_d2_faust_lists_the_agents() -> None:
    command = [sys.executable, "-m", "faust", "-A", "app.worker", "--json", "agents"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "agents.saga.run_sagas" in listed.stdout
    assert "agents.breaker.judge_calls" in listed.stdout
