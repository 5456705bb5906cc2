"""Retries do what RetryImpl does: tests/resilience4j/retry.json, all levels."""

from collections import Counter

import pytest

from app.domain.interval import exponential
from app.domain.retry import IGNORED, RetryPolicy, Verdict, after_success, after_wait, given_up
from tests.support.failures import FAILURES, covering
from tests.support.resilience4j import retry_interval, scenarios

COUNTERS = ("successful_without_retry", "successful_with_retry", "failed_without_retry", "failed_with_retry")


class Replay:
    def __init__(self, config: dict) -> None:
        self.max_attempts = config.get("maxAttempts", 3)
        self.interval = retry_interval(config)
        self.retried = covering(config.get("retryExceptions", ["Failure"]))
        self.ignored = covering(config.get("ignoreExceptions", []))
        self.again = config.get("retryResults", [])
        self.fails = config.get("failAfterMaxAttempts", False)
        self.counts: Counter[str] = Counter()

    def call(self, endings: list[str]) -> dict:
        waits, events, attempt = [], [], 0
        while True:
            ending = endings[min(attempt, len(endings) - 1)]
            attempt += 1
            verdict, wait_ms = self._judge(attempt, *ending.split(":"))
            self.counts["attempts"] += verdict.attempts
            if verdict.event:
                wait = [wait_ms] if verdict.event == "RETRY" else []
                events.append(" ".join(map(str, [verdict.event, verdict.number, *wait])))
                waits += wait
            if verdict.counts:
                self.counts[verdict.counts] += 1
                spent = self.fails and ending.startswith("result:") and verdict.event == "ERROR"
                ended = "error:MaxRetriesExceededException" if spent else ending
                return {"ended": ended, "attempts": attempt, "waits": waits, "events": events}

    def _judge(self, attempt: int, kind: str, name: str) -> tuple[Verdict, int]:
        if kind == "result" and name not in self.again:
            return after_success(attempt), 0
        if kind == "error":
            failure = FAILURES[name]
            if not issubclass(failure, self.retried) or issubclass(failure, self.ignored):
                return IGNORED, 0
        if attempt >= self.max_attempts:
            return given_up(attempt, on_result=kind == "result"), 0
        wait_ms = self.interval.wait_ms(attempt)
        return after_wait(attempt, wait_ms), wait_ms


@pytest.mark.parametrize("scenario", scenarios("retry"))
def test_it_does_what_resilience4j_does(scenario):
    replay = Replay(scenario["config"])
    for n, (endings, expected) in enumerate(zip(scenario["calls"], scenario["expect"]["calls"], strict=True)):
        found = replay.call(endings)
        assert {key: found[key] for key in expected} == expected, f"call {n}"
    if "m" in scenario["expect"]:
        assert [replay.counts[name] for name in (*COUNTERS, "attempts")] == scenario["expect"]["m"]


def test_an_interval_below_zero_is_the_end():
    assert after_wait(1, -1) == given_up(1)


def test_a_policy_waits_as_resilience4js_intervals_do():
    policy = RetryPolicy(wait_ms=500, multiplier=2.5, max_wait_ms=4_000)
    waits = exponential(500, 2.5, 4_000)
    assert [policy.interval_ms(n) for n in range(1, 9)] == [waits.wait_ms(n) for n in range(1, 9)]
