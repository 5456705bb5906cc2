"""Waits against those of Resilience4j (tests/resilience4j/interval.json), and their bounds where it draws."""

import math
import random

import pytest

from app.domain.interval import LONGEST_MS, Interval, exponential, fixed, linear, randomized
from tests.support.resilience4j import scenarios

MADE_BY = {
    "fixed": lambda config: fixed(config["initialMs"]),
    "linear": lambda config: linear(config["initialMs"], config["stepMs"]),
    "exponential": lambda config: exponential(config["initialMs"], config["multiplier"], config.get("maxMs")),
}


def waited(interval: Interval, attempt: int) -> int | str:
    try:
        return interval.wait_ms(attempt)
    except ValueError:
        return "refused"


@pytest.mark.parametrize("scenario", scenarios("interval"))
def test_it_waits_as_resilience4j_waits(scenario):
    interval = MADE_BY[scenario["config"]["type"]](scenario["config"])
    assert [waited(interval, attempt) for attempt in scenario["attempts"]] == scenario["expect"]["waits"]


def test_there_is_no_attempt_before_the_first():
    with pytest.raises(ValueError, match="attempt 0: expected at least 1"):
        fixed(5).wait_ms(0)


def test_each_wait_is_half_as_long_again_where_nothing_is_said():
    assert [exponential(100).wait_ms(n) for n in (1, 2, 3)] == [100, 150, 225]


def test_it_never_waits_longer_than_java_can_count():
    assert exponential(500, 2.5).wait_ms(10_000) == LONGEST_MS
    assert randomized(exponential(500, 2.5), 1.0).wait_ms(10_000, 0.99) == LONGEST_MS
    assert exponential(500, math.inf).wait_ms(2) == exponential(500, 1e308).wait_ms(9) == LONGEST_MS


def test_waits_that_shrink_are_capped_in_the_end():
    assert [exponential(1_000, 0.8, 700).wait_ms(n) for n in (1, 2, 3, 4)] == [700, 700, 640, 512]


def test_a_randomized_wait_is_at_most_its_factor_longer_or_shorter():
    dice = random.Random(7)
    drawn = [randomized(fixed(100), 0.2).wait_ms(1, dice.random()) for _ in range(2_000)]
    assert (min(drawn), max(drawn)) == (80, 120)


def test_a_randomized_wait_spreads_the_grown_one_and_is_capped_after_that():
    interval = randomized(exponential(100, 2, max_ms=350), 0.5)
    assert [interval.wait_ms(2, fraction) for fraction in (0, 0.5, 0.999)] == [100, 200, 300]
    assert [interval.wait_ms(3, fraction) for fraction in (0, 0.5, 0.999)] == [200, 350, 350]


def test_a_randomized_wait_is_at_least_1_ms():
    assert randomized(fixed(1), 1.0).wait_ms(1, 0.0) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: fixed(0),
        lambda: linear(0, 1),
        lambda: linear(1, -1),
        lambda: exponential(0),
        lambda: exponential(1, 0),
        lambda: exponential(1, math.nan),
        lambda: exponential(1, 2, 0),
        lambda: randomized(fixed(1), 1.1),
        lambda: randomized(fixed(1), -0.1),
    ],
)
def test_impossible_waits_are_refused(make):
    with pytest.raises(ValueError, match="expected"):
        make()
