"""The examples that a developer copies, as they are, with the client's wheel and no Kafka."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "deploy" / "client" / "examples"
OF_AIOKAFKA = "Unable connect to"
SAID = [
    "charged o-1",
    "charged o-2",
    "unlucky-3: payment-service does not answer",
    "queued unlucky-4, payment-service is OPEN",
    "queued o-5, payment-service is OPEN",
]


@pytest.fixture
def nobody() -> str:
    """An address at which no Kafka is."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("with_kafka", [False, True], ids=["without-kafka", "kafka-is-away"])
@pytest.mark.parametrize("example", ["settings_in_yaml.py", "settings_in_code.py"])
def test_a_copied_example_guards_its_calls(example, with_kafka, wheel, nobody, tmp_path):
    copied = shutil.copytree(EXAMPLES, tmp_path / "copied")
    env = {name: value for name, value in os.environ.items() if name != "KAFKA"} | {"PYTHONPATH": str(wheel)}
    told = {"KAFKA": nobody} if with_kafka else {}
    command = [sys.executable, str(copied / example)]
    done = subprocess.run(command, env=env | told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith(OF_AIOKAFKA)] == SAID
