"""Events of circuit breakers, listed, in the shapes of Resilience4j's endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.breakers.breaker import Policy, State
from app.domain.breakers.fleet import Fleet, Kept
from app.domain.breakers.scopes import Scopes
from app.web.breaker_events import zoned
from app.web.service import Elsewhere
from tests.support.breaker_events import Listening, call, folded, move
from tests.support.web import AS_OF_AT, OneWorker, Site, site

EVENTS = "/actuator/circuitbreakerevents"
STREAM = "/actuator/streamcircuitbreakerevents"


@pytest.fixture
def worker() -> OneWorker:
    found = OneWorker()
    found.named = {"circuitbreaker": ["pay"]}
    return found


async def events(served: Site, path: str = "") -> list[dict[str, Any]]:
    status, body = await served.get(f"{EVENTS}{path}")
    assert status == 200, body
    found: list[dict[str, Any]] = body["circuitBreakerEvents"]
    return found


async def told(served: Site, path: str = "") -> list[tuple[str, str]]:
    return [(event["circuitBreakerName"], event["type"]) for event in await events(served, path)]


async def test_events_have_resilience4js_shape(worker: OneWorker, served: Site) -> None:
    call(worker, "success", duration_ms=120)
    call(worker, "timeout", AS_OF_AT + 1, duration_ms=3_000, error="ReadTimeout")
    move(worker, "OPEN", "act", AS_OF_AT + 2)
    success, error, change = await events(served)
    nothing = {"errorMessage": None, "durationInMs": None, "stateTransition": None}
    assert success == {
        "circuitBreakerName": "pay",
        "type": "SUCCESS",
        "creationTime": "2026-09-21T14:13:20Z[UTC]",
        **nothing,
        "durationInMs": 120,
    }
    assert (error["errorMessage"], error["durationInMs"]) == ("ReadTimeout", 3_000)
    assert change == {
        "circuitBreakerName": "pay",
        "type": "STATE_TRANSITION",
        "creationTime": "2026-09-21T14:13:20.002Z[UTC]",
        **nothing,
        "stateTransition": "CLOSED_TO_OPEN",
    }


async def test_each_kind_of_call_is_an_event_of_its_type(worker: OneWorker, served: Site) -> None:
    for outcome in ("success", "failure", "timeout", "ignored", "rejected", "of-a-later-version"):
        call(worker, outcome)
    types = ["SUCCESS", "ERROR", "ERROR", "IGNORED_ERROR", "NOT_PERMITTED"]
    assert [type_ for _, type_ in await told(served)] == types
    assert (await events(served))[-1]["durationInMs"] is None


async def test_the_rate_that_opened_it_comes_before_the_change_and_after_the_call(
    worker: OneWorker, served: Site
) -> None:
    move(worker, "OPEN", "failure-rate")
    move(worker, "OPEN", "slow-call-rate", AS_OF_AT + 1)
    call(worker, "failure")
    rate, change = "FAILURE_RATE_EXCEEDED", "STATE_TRANSITION"
    assert [type_ for _, type_ in await told(served)] == ["ERROR", rate, change, "SLOW_CALL_RATE_EXCEEDED", change]


async def test_of_two_rates_that_open_it_both_are_told_while_their_thresholds_are_known(
    worker: OneWorker, served: Site
) -> None:
    worker.policies = {"pay": Policy(slow_call_rate_threshold=100 / 3, config_version=7)}
    for version, rate in ((7, 33.333332), (7, 33.0), (6, 100.0)):
        move(worker, "OPEN", "failure-rate", config_version=version, slow_call_rate=rate)
    failing, slow, change = "FAILURE_RATE_EXCEEDED", "SLOW_CALL_RATE_EXCEEDED", "STATE_TRANSITION"
    assert [type_ for _, type_ in await told(served)] == [failing, slow, change, failing, change, failing, change]


async def test_a_reset_and_the_rates_of_metrics_only_are_events_without_a_change(
    worker: OneWorker, served: Site
) -> None:
    async with served.request("GET", f"{STREAM}/pay") as answer:
        move(worker, "METRICS_ONLY", "failure-rate", from_=State.METRICS_ONLY)
        move(worker, "METRICS_ONLY", "slow-call-rate", from_=State.METRICS_ONLY)
        move(worker, "CLOSED", "act", from_=State.METRICS_ONLY)
        move(worker, "CLOSED", "reset")
        streamed = [(await Listening(answer).event())["event"] for _ in range(4)]
    types = ["FAILURE_RATE_EXCEEDED", "SLOW_CALL_RATE_EXCEEDED", "STATE_TRANSITION", "RESET"]
    assert streamed == [event["type"] for event in await events(served)] == types
    [reset] = await events(served, "/pay/reset")
    assert (reset["stateTransition"], reset["errorMessage"], reset["durationInMs"]) == (None, None, None)


async def test_folded_calls_are_one_event_of_each_kind_with_their_number(worker: OneWorker, served: Site) -> None:
    folded(worker, success=41, slow_success=1, failure=2, slow_timeout=1, rejected=3)
    assert [(event["type"], event["calls"]) for event in await events(served)] == [
        ("SUCCESS", 42),
        ("ERROR", 3),
        ("NOT_PERMITTED", 3),
    ]


async def test_a_call_is_an_event_of_each_breaker_that_counts_it(worker: OneWorker, served: Site) -> None:
    worker.scoped = {"pay": Scopes(("service", "operation", "caller"))}
    worker.named = {"circuitbreaker": ["pay", "pay:op:charge", "pay:op:refund"]}
    call(worker, "success", operation="charge", caller="order")
    call(worker, "failure", operation="refund")
    assert [name for name, _ in await told(served)] == [
        "pay",
        "pay:op:charge",
        "pay:from:order",
        "pay",
        "pay:op:refund",
    ]
    assert await told(served, "/pay:op:charge") == [("pay:op:charge", "SUCCESS")]


async def test_the_newest_hundred_of_each_breaker_are_shown_the_oldest_first(worker: OneWorker, served: Site) -> None:
    for n in range(150):
        call(worker, "success", AS_OF_AT + n, duration_ms=n)
    call(worker, "failure", AS_OF_AT + 3, "ship")
    found = await events(served)
    assert [event["durationInMs"] for event in found if event["circuitBreakerName"] == "pay"] == list(range(50, 150))
    assert [event["type"] for event in found if event["circuitBreakerName"] == "ship"] == ["ERROR"]


async def test_the_type_narrows_what_was_kept_in_whatever_case(worker: OneWorker, served: Site) -> None:
    for n in range(101):
        call(worker, "failure" if n in (0, 100) else "success", AS_OF_AT + n)
    assert await told(served, "/pay/error") == [("pay", "ERROR")]


async def test_a_known_breaker_without_events_has_an_empty_list(worker: OneWorker, served: Site) -> None:
    worker.tables["breakers"] = {"ship": Fleet({"ship": Kept()})}
    assert await told(served, "/pay") == await told(served, "/ship") == []


async def test_an_unknown_breaker_or_type_is_refused(served: Site) -> None:
    for path in (EVENTS, STREAM):
        assert (await served.problem("GET", f"{path}/nobody"))["status"] == 404
        problem = await served.problem("GET", f"{path}/pay/NONSENSE")
        assert (problem["status"], problem["field"]) == (400, "type")


async def test_whether_a_breaker_is_known_the_owner_says() -> None:
    here, there = OneWorker(), OneWorker()
    there.tables["breakers"] = {"ship": Fleet({"ship": Kept()})}
    async with site(there) as second, site(here) as first:
        here.elsewhere = {"ship": Elsewhere(second.url), "nobody": Elsewhere(second.url)}
        assert await told(first, "/ship") == []
        assert (await first.problem("GET", f"{EVENTS}/nobody"))["status"] == 404
        assert (await first.problem("GET", f"{STREAM}/nobody"))["status"] == 404
        async with first.request("GET", f"{STREAM}/ship") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (AS_OF_AT + 7, "2026-09-21T14:13:20.007Z[UTC]"),
        (AS_OF_AT, "2026-09-21T14:13:20Z[UTC]"),
        (1_790_000_040_000, "2026-09-21T14:14Z[UTC]"),
        (1_790_000_040_500, "2026-09-21T14:14:00.500Z[UTC]"),
    ],
)
def test_instants_are_written_as_java_prints_them(at: int, text: str) -> None:
    assert zoned(at) == text
