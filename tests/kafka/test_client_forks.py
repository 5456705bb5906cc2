"""Through a real Kafka a parent and its child after a fork tell each of its own calls, and both hear the fleet."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.domain.breakers.breaker import State
from app.domain.breakers.calls import BreakerState
from deploy.kafka import local_kafka
from tests.support.forking_caller import CALLS, CLIENT, SERVICE
from tests.support.kafka import Kafka, wait_for
from tests.support.workers import ROOT

OUTCOMES, STATES = "iopt.call-outcomes", "iopt.breaker-states"
OPEN = BreakerState(
    breaker=SERVICE,
    service=SERVICE,
    scope="service",
    state=State.OPEN,
    since_at=1_790_000_000_000,
    until_at=1_790_000_060_000,
    permits_half_open=3,
    failure_rate=-1.0,
    slow_call_rate=-1.0,
    slow_call_duration_ms=60_000,
    config_version=1,
    seq=1,
    at=1_790_000_000_000,
)


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Kafka]:
    with local_kafka(tmp_path / "kafka") as bootstrap:
        made = Kafka(bootstrap)
        made.create(OUTCOMES, STATES, partitions=2)
        yield made


def told(kafka: Kafka) -> Counter[str]:
    """Calls by client."""
    calls: Counter[str] = Counter()
    for record in kafka.read_all(OUTCOMES):
        said = msgspec.json.decode(record.value or b"")
        calls[said["client"]] += said["counts"]["success"]
    return calls


@pytest.mark.timeout(240)
def test_parent_and_child_tell_each_of_its_own_calls_and_hear_the_fleet(kafka, tmp_path):
    with (tmp_path / "said").open("wb") as said:
        without = ["-W", "ignore::DeprecationWarning"]  # Python 3.12 warns of each fork where threads run
        command = [sys.executable, *without, "-m", "tests.support.forking_caller", kafka.bootstrap]
        caller = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
        try:
            wait_for(lambda: told(kafka).total() >= sum(CALLS.values()), "all calls to be told of", 90)
            kafka.write(STATES, (SERVICE, msgspec.json.encode(OPEN)))
            assert caller.wait(90) == 0
        finally:
            caller.kill()
            caller.wait()
    assert (tmp_path / "said").read_text() == ""
    calls = told(kafka)
    assert (calls.pop(CLIENT), list(calls.values())) == (CALLS["before"] + CALLS["parent"], [CALLS["child"]])
    assert all(client.startswith(f"{CLIENT}-") for client in calls)
