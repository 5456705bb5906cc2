"""The demo of breakers through its command line: a broker of its own, the worker killed while the breaker is open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PERMITTED = 5


@pytest.mark.timeout(240)
def test_three_callers_stop_and_go_on_together_though_the_worker_is_killed() -> None:
    iopt = str(Path(sys.executable).with_name("iopt"))
    own_kafka = {name: value for name, value in os.environ.items() if name not in ("IOPT_KAFKA", "IOPT_PORT")}
    done = subprocess.run(
        [iopt, "demo", "breakers", "--kill", "--json"],
        cwd=CHECKOUT,
        env=own_kafka,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["findings"] == []
    assert told["transitions"] == [
        "1: CLOSED -> OPEN (failure-rate)",
        "2: OPEN -> HALF_OPEN (wait)",
        "3: HALF_OPEN -> CLOSED (trial)",
        "4: CLOSED -> FORCED_OPEN (act)",
        "5: FORCED_OPEN -> CLOSED (act)",
    ]
    assert 0 < sum(told["trial_calls"].values()) <= PERMITTED
    assert told["exit_codes"] == [-9]
    assert told["answered"]["circuitBreakers"]["payment-service"]["state"] == "CLOSED"
    assert any(
        event["stateTransition"] == "FORCED_OPEN_TO_CLOSED" for event in told["answered"]["circuitBreakerEvents"]
    )
