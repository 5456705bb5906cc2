"""What Resilience4j 2.4.0 does, step by step: golden/fleet.json, made from the library on a virtual clock.

It holds the scenarios that an observer of single outcomes can follow: count windows, no change by
hand, none by a request for permission that no outcome tells of. A step is [clock, outcome or null,
duration, state, metrics]; OPEN -> HALF_OPEN stands at the end of the call that brought it about.
"""

import json
from pathlib import Path

import msgspec
import pytest

from app.domain.breakers.breaker import Policy
from app.domain.breakers.fleet import metrics
from tests.support.fleets import Row

GOLDEN = json.loads((Path(__file__).parent / "golden" / "fleet.json").read_text())


class Replay:
    def __init__(self, policy: Policy) -> None:
        self.row = Row(policy)

    def step(self, at_ms: int, outcome: str | None, duration_ms: int) -> None:
        self.row.wait(at_ms)
        if outcome is not None:
            self.row.call(outcome, at_ms, duration_ms=duration_ms)

    @property
    def state(self) -> str:
        return self.row.kept.breaker.state if self.row.fleet else "CLOSED"

    def metrics(self, now_ms: int) -> list[float]:
        if self.row.fleet is None:
            return [0, 0, 0, 0, 0, 0, -1, -1]
        found = metrics(self.row.kept, now_ms, self.row.policy)
        counts = [found.buffered, found.successful, found.failed, found.slow, found.slow_failed]
        return [*counts, found.not_permitted, found.failure_rate, found.slow_call_rate]


@pytest.mark.parametrize("scenario", GOLDEN["scenarios"], ids=lambda scenario: scenario["id"])
def test_it_does_what_resilience4j_does(scenario):
    replay = Replay(msgspec.convert(scenario["policy"], Policy))
    for n, (at_ms, outcome, duration_ms, state, numbers) in enumerate(scenario["steps"]):
        replay.step(at_ms, outcome, duration_ms)
        assert replay.state == state, f"step {n}"
        assert replay.metrics(at_ms) == pytest.approx(numbers, abs=0.001), f"step {n}"
    assert [[t.at, t.from_, t.to] for t in replay.row.transitions] == scenario["transitions"]


@pytest.mark.parametrize("scenario", GOLDEN["refused"], ids=lambda scenario: scenario["id"])
def test_it_refuses_the_settings_that_resilience4j_refuses(scenario):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(scenario["policy"], Policy)
