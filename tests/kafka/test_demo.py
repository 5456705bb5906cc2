"""The whole demo through its command line: a broker of its own, the worker killed on the way, the books at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
ORDERS = 60


@pytest.mark.timeout(240)
def test_orders_end_as_they_should_though_the_worker_is_killed() -> None:
    iopt = str(Path(sys.executable).with_name("iopt"))
    own_kafka = {name: value for name, value in os.environ.items() if name not in ("IOPT_KAFKA", "IOPT_PORT")}
    done = subprocess.run(
        [iopt, "demo", "--orders", str(ORDERS), "--kill", "1", "--json"],
        cwd=CHECKOUT,
        env=own_kafka,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["findings"] == []
    assert told["completed"] + told["compensated"] + told.get("in_debt", 0) == ORDERS
    assert (told["kills"], told["restarts"]) == (1, 1)
    assert told["dead_letters"] == {"undecodable": 1, "bad-key": 1}
