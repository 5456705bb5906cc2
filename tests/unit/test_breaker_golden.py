"""What Resilience4j 2.4.0 does, step by step on a virtual clock: tests/resilience4j/breaker.json."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.domain.breakers import breaker as machine
from app.domain.breakers.breaker import Breaker, Event, EventType, NoSuchChange, Outcome, Policy, State, Verdict
from tests.support.resilience4j import interval, scenarios

KINDS = {
    "Failure": {"NetworkError", "TimeoutError", "BadRequest", "NotFound"},
    "NetworkError": {"TimeoutError"},
    "BadRequest": {"NotFound"},
}


def is_a(error: str, listed: str) -> bool:
    return error == listed or error in KINDS.get(listed, ())


def policy_of(config: dict[str, Any]) -> Policy:
    settings = {name.removesuffix("Ms"): value for name, value in config.items() if name != "transitionOnResult"}
    if "waitIntervalInOpenState" in settings:
        settings["waitIntervalInOpenState"] = msgspec.to_builtins(interval(settings["waitIntervalInOpenState"]))
    return msgspec.convert(settings, Policy)


class Replay:
    def __init__(self, scenario: dict[str, Any]) -> None:
        self.policy = policy_of(scenario["config"])
        self.opens_for_ms = scenario["config"].get("transitionOnResult", {})
        self.began_ms = self.now_ms = scenario["startEpochMs"]
        self.breaker = machine.begun(self.policy, self.now_ms)
        self.transitions: list[list[Any]] = []
        self.events: list[str] = []

    def step(self, step: dict[str, Any]) -> dict[str, Any]:
        self.events = []
        done = getattr(self, f"_{step['op']}")(**{name: value for name, value in step.items() if name != "op"})
        metrics = machine.metrics(self.breaker, self.now_ms, self.policy)
        counts = [metrics.buffered, metrics.successful, metrics.failed, metrics.slow, metrics.slow_failed]
        m = [*counts, metrics.not_permitted, metrics.failure_rate, metrics.slow_call_rate]
        return {**(done or {}), "state": self.breaker.state, "m": m, "events": self.events}

    def _call(self, ms: int, **how: str) -> dict[str, bool]:
        asked = self._acquire()
        if asked["permitted"]:
            self._advance(ms)
            self._outcome(ms, **how)
        return asked

    def _acquire(self) -> dict[str, bool]:
        self.breaker, permitted, events = machine.permit(self.breaker, self.now_ms, self.policy)
        self._tell(events)
        return {"permitted": permitted}

    def _outcome(self, ms: int, error: str = "", result: str = "") -> None:
        error = error.removeprefix("wrapped:")
        verdict = Verdict(result in self.policy.record_results)
        if error:
            verdict = machine.judge(error, self.policy, is_a)
        opens_for_ms = self.opens_for_ms.get(f"error:{error}" if error else f"result:{result}")
        if result in self.policy.record_results:
            opens_for_ms = None
        opens_until = None if opens_for_ms is None else self.now_ms + opens_for_ms
        outcome = Outcome(ms, verdict, error, opens_until=opens_until)
        self._take(machine.record(self.breaker, outcome, self.now_ms, self.policy))

    def _release(self) -> None:
        self.breaker = machine.release(self.breaker)

    def _advance(self, ms: int) -> None:
        until_ms = self.now_ms + ms
        while (due_ms := machine.due(self.breaker)) is not None and due_ms <= until_ms:
            self.now_ms = due_ms
            self._take(machine.expire(self.breaker, due_ms, self.policy))
        self.now_ms = until_ms

    def _transition(self, to: str) -> dict[str, str] | None:
        return self._by_hand(lambda: machine.move(self.breaker, State(to), self.now_ms, self.policy))

    def _openFor(self, ms: int) -> dict[str, str] | None:
        return self._by_hand(lambda: machine.open_until(self.breaker, self.now_ms + ms, self.now_ms, self.policy))

    def _reset(self) -> None:
        self._take(machine.reset(self.breaker, self.now_ms, self.policy))

    def _by_hand(self, act) -> dict[str, str] | None:
        try:
            self._take(act())
        except NoSuchChange:
            return {"refused": "IllegalStateTransitionException"}
        return None

    def _take(self, step: tuple[Breaker, tuple[Event, ...]]) -> None:
        self.breaker, events = step
        self._tell(events)

    def _tell(self, events: tuple[Event, ...]) -> None:
        for event in events:
            assert event.at == self.now_ms
            self.events.append(written(event))
            if event.change:
                self.transitions.append([event.at - self.began_ms, event.change.from_, event.change.to])


def written(event: Event) -> str:
    if event.change:
        return f"{event.type} {event.change.from_} {event.change.to}"
    if event.type in (EventType.FAILURE_RATE_EXCEEDED, EventType.SLOW_CALL_RATE_EXCEEDED):
        return f"{event.type} {round(event.rate, 4)}"
    return event.type


ALL = scenarios("breaker")
REFUSED = [scenario for scenario in ALL if "refused" in scenario.values[0]["expect"]]


@pytest.mark.parametrize("scenario", [scenario for scenario in ALL if scenario not in REFUSED])
def test_it_does_what_resilience4j_does(scenario):
    replay = Replay(scenario)
    for n, (step, expected) in enumerate(zip(scenario["steps"], scenario["expect"]["steps"], strict=True)):
        done = replay.step(step)
        assert done.pop("m") == pytest.approx(expected["m"], abs=0.001), f"step {n}: {step}"
        assert done == {"events": [], **{key: expected[key] for key in expected if key != "m"}}, f"step {n}: {step}"
    assert replay.transitions == scenario["expect"]["transitions"]


@pytest.mark.parametrize("scenario", REFUSED)
def test_it_refuses_the_settings_that_resilience4j_refuses(scenario):
    with pytest.raises(msgspec.ValidationError):
        policy_of(scenario["config"])
