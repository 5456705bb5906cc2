"""What Resilience4j 2.4.0 does, step by step: golden/fleet.json, made from the library on a virtual clock.

It holds the scenarios that an observer of single outcomes can follow: count windows, no change by
hand, none by a request for permission that no outcome tells of. A step is [clock, outcome or null,
duration, state, metrics]; OPEN -> HALF_OPEN stands at the end of the call that brought it about.
"""

import json
from pathlib import Path

import msgspec
import pytest

from app.domain.breaker import Policy
from app.domain.calls import CallOutcome, Transition
from app.domain.kept import Kept, decide, due, expire

GOLDEN = json.loads((Path(__file__).parent / "golden" / "fleet.json").read_text())


class Replay:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.kept = Kept()
        self.transitions: list[Transition] = []

    def step(self, at_ms: int, outcome: str | None, duration_ms: int) -> None:
        self._run_timers(at_ms)
        if outcome is not None:
            call = CallOutcome(service="s", outcome=outcome, duration_ms=duration_ms)
            self._keep(decide(self.kept, call, at_ms, self.policy))

    def metrics(self) -> list[float]:
        window = self.kept.breaker.window
        succeeded = window.buffered - window.failed
        counts = [window.buffered, succeeded, window.failed, window.slow, window.slow_failed]
        return [*counts, self.kept.breaker.not_permitted, *window.rates(self.policy.minimum_number_of_calls)]

    def _run_timers(self, until_ms: int) -> None:
        while (due_ms := due(self.kept)) is not None and due_ms <= until_ms:
            self._keep(expire(self.kept, "s", due_ms, self.policy))

    def _keep(self, decision) -> None:
        self.kept, changes = decision
        self.transitions += [change.transition for change in changes]


@pytest.mark.parametrize("scenario", GOLDEN["scenarios"], ids=lambda scenario: scenario["id"])
def test_it_does_what_resilience4j_does(scenario):
    replay = Replay(msgspec.convert(scenario["policy"], Policy))
    for n, (at_ms, outcome, duration_ms, state, metrics) in enumerate(scenario["steps"]):
        replay.step(at_ms, outcome, duration_ms)
        assert replay.kept.breaker.state == state, f"step {n}"
        assert replay.metrics() == pytest.approx(metrics, abs=0.001), f"step {n}"
    assert [[t.at, t.from_, t.to] for t in replay.transitions] == scenario["transitions"]


@pytest.mark.parametrize("scenario", GOLDEN["refused"], ids=lambda scenario: scenario["id"])
def test_it_refuses_the_settings_that_resilience4j_refuses(scenario):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(scenario["policy"], Policy)
