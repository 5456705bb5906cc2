"""The breaker of the client library, driven by what Resilience4j 2.4.0 does: tests/resilience4j/breaker.json."""

import pytest
from msgspec import structs

from app.client.alarm import Alarm
from app.client.breaker import CircuitBreaker
from app.client.errors import CallNotPermitted
from app.client.judging import CircuitBreakerPolicy, OpenFor
from app.domain.breakers.breaker import NoSuchChange, State
from app.domain.breakers.breaker_events import EventType
from app.domain.breakers.window import WindowType
from tests.support.failures import FAILURES, NAMES, covering
from tests.support.resilience4j import interval, scenarios
from tests.support.virtual_clock import MS, VirtualClock

FIELDS = {field.encode_name: field.name for field in structs.fields(CircuitBreakerPolicy)}


def policy_of(config) -> CircuitBreakerPolicy:
    given = {FIELDS[name.removesuffix("Ms")]: value for name, value in config.items()}
    for name in ("record_exceptions", "ignore_exceptions"):
        given[name] = covering(given.get(name, []))
    if "wait_interval_in_open_state" in given:
        given["wait_interval_in_open_state"] = interval(given["wait_interval_in_open_state"])
    if "sliding_window_type" in given:
        given["sliding_window_type"] = WindowType(given["sliding_window_type"])
    opens = given.pop("transition_on_result", {})

    def transition(ended):
        word = f"error:{NAMES[type(ended.error)]}" if ended.error else f"result:{ended.result}"
        return OpenFor(opens[word]) if word in opens else None

    given["record_results"] = tuple(given.get("record_results", ()))
    return CircuitBreakerPolicy(**given, transition_on_result=transition if opens else None)


class Hand(Alarm):
    """Without a thread: whoever moves the clock rings it."""

    def set(self, at_ms, ring):
        self._started = True
        super().set(at_ms, ring)


class Replay:
    def __init__(self, scenario, *, listening):
        self.clock = VirtualClock()
        self.began_ms = scenario["startEpochMs"]
        self.clock.ns = self.began_ms * MS
        self.alarm = Hand(self.clock)
        self.breaker = CircuitBreaker("b", policy_of(scenario["config"]), self.clock, alarm=self.alarm)
        self.heard, self.read = [], 0
        self.listening = listening
        if listening:
            self.breaker.on_event(self.heard.append)

    def step(self, step):
        before = len(self.heard)
        done = getattr(self, f"_{step['op']}")(**{name: value for name, value in step.items() if name != "op"})
        metrics = self.breaker.metrics()
        counts = [metrics.buffered, metrics.successful, metrics.failed, metrics.slow, metrics.slow_failed]
        m = [*counts, metrics.not_permitted, metrics.failure_rate, metrics.slow_call_rate]
        if not self.listening:
            self._read_new()
        return {**(done or {}), "state": self.breaker.state, "m": m, "events": list(map(written, self.heard[before:]))}

    @property
    def transitions(self):
        return [[event.at - self.began_ms, event.from_, event.to] for event in self.heard if event.to]

    def _read_new(self):
        total = sum(self.breaker.counts().values())
        self.heard += self.breaker.recent_events()[-(total - self.read) :] if total > self.read else []
        self.read = total

    def _call(self, ms, error=None, result=None):
        try:
            self.breaker.call(self._called, ms, error, result)
        except CallNotPermitted:
            return {"permitted": False}
        except tuple(FAILURES.values()):
            pass
        return {"permitted": True}

    def _called(self, ms, error, result):
        self._advance(ms)
        if error:
            raise FAILURES[error.removeprefix("wrapped:")]
        return result

    def _acquire(self):
        return {"permitted": self.breaker.try_acquire()}

    def _outcome(self, ms, error=None, result=None):
        if error:
            self.breaker.error(ms * MS, FAILURES[error.removeprefix("wrapped:")]())
        else:
            self.breaker.success(ms * MS, result)

    def _release(self):
        self.breaker.release()

    def _advance(self, ms):
        until_ms = self.clock.wall_ms() + ms
        while (due_ms := self.alarm.next_at()) is not None and due_ms <= until_ms:
            self.clock.ns = max(self.clock.ns, due_ms * MS)
            self.alarm.ring(due_ms)
        self.clock.ns = until_ms * MS

    def _transition(self, to):
        return self._by_hand(lambda: self.breaker.move(State(to)))

    def _openFor(self, ms):
        return self._by_hand(lambda: self.breaker.open_for(ms))

    def _reset(self):
        self.breaker.reset()

    def _by_hand(self, act):
        try:
            act()
        except NoSuchChange:
            return {"refused": "IllegalStateTransitionException"}
        return None


def written(event):
    if event.to:
        return f"{event.type} {event.from_} {event.to}"
    if event.type in (EventType.FAILURE_RATE_EXCEEDED, EventType.SLOW_CALL_RATE_EXCEEDED):
        return f"{event.type} {round(event.rate, 4)}"
    return event.type


PLAYED = [scenario for scenario in scenarios("breaker") if "refused" not in scenario.values[0]["expect"]]


@pytest.mark.parametrize("listening", [True, False], ids=["listening", "reading"])
@pytest.mark.parametrize("scenario", PLAYED)
def test_it_does_what_resilience4j_does(scenario, listening):
    replay = Replay(scenario, listening=listening)
    for n, (step, expected) in enumerate(zip(scenario["steps"], scenario["expect"]["steps"], strict=True)):
        done = replay.step(step)
        assert done.pop("m") == pytest.approx(expected["m"], abs=0.001), f"step {n}: {step}"
        assert done == {"events": [], **{key: expected[key] for key in expected if key != "m"}}, f"step {n}: {step}"
    assert replay.transitions == scenario["expect"]["transitions"]


@pytest.mark.parametrize("scenario", PLAYED)
def test_what_was_only_noted_is_there_when_somebody_looks_at_last(scenario):
    replay = Replay(scenario, listening=False)
    last = list(zip(scenario["steps"], scenario["expect"]["steps"], strict=True))
    for n, (step, expected) in enumerate(last):
        op, rest = step["op"], {name: value for name, value in step.items() if name != "op"}
        done = getattr(replay, f"_{op}")(**rest) or {}
        assert done.get("permitted") == expected.get("permitted"), f"step {n}: {step}"
        assert replay.breaker.state == expected["state"], f"step {n}: {step}"
    events = [event for _, expected in last for event in expected.get("events", [])]
    assert list(map(written, replay.breaker.recent_events())) == events[-100:]
    assert sum(replay.breaker.counts().values()) == len(events)
    m = replay.breaker.metrics()
    assert [m.buffered, m.failed, m.slow, m.not_permitted] == [expected["m"][n] for n in (0, 2, 3, 5)]
