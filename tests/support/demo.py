"""A demo through its command line, on a broker of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


def demo(*words: str) -> dict[str, Any]:
    """What it says at its end; it ended as it should, and found nothing wrong."""
    iopt = str(Path(sys.executable).with_name("iopt"))
    own_kafka = {name: value for name, value in os.environ.items() if name not in ("IOPT_KAFKA", "IOPT_PORT")}
    done = subprocess.run(
        [iopt, "demo", *words, "--json"], cwd=CHECKOUT, env=own_kafka, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["findings"] == []
    return told
