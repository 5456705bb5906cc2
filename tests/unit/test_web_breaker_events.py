"""Events of circuit breakers, listed and streamed, in the shapes of Resilience4j's endpoints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web

from app.domain.breaker import State
from app.domain.calls import CallOutcome, Sighting, Transition
from app.domain.fleet import Fleet, Kept
from app.domain.scopes import Scopes
from app.web import breaker_stream
from app.web.breaker_events import zoned
from app.web.server import serve
from app.web.service import Elsewhere
from app.wire.topics import BREAKER_TRANSITIONS, CALL_OUTCOMES
from tests.support.web import AS_OF_AT, OneWorker, Site, site

EVENTS = "/actuator/circuitbreakerevents"
STREAM = "/actuator/streamcircuitbreakerevents"


@pytest.fixture
def worker() -> OneWorker:
    found = OneWorker()
    found.named = {"circuitbreaker": ["pay"]}
    return found


@pytest.fixture
async def served(worker: OneWorker) -> AsyncIterator[Site]:
    async with site(worker) as found:
        yield found


def call(worker: OneWorker, outcome: str, at: int = AS_OF_AT, service: str = "pay", **more: Any) -> None:
    worker.hear(CALL_OUTCOMES, service, CallOutcome(service=service, outcome=outcome, **more), at)


def folded(worker: OneWorker, **counts: int) -> None:
    worker.hear(CALL_OUTCOMES, "pay", CallOutcome(service="pay", counts=counts))


def move(worker: OneWorker, to: str, cause: str, at: int = AS_OF_AT, before: State = State.CLOSED) -> None:
    change = Transition(
        breaker="pay",
        service="pay",
        scope="service",
        from_=before,
        to=State(to),
        cause=cause,
        at=at,
        failure_rate=50.0,
        slow_call_rate=0.0,
        buffered_calls=2,
        failed_calls=1,
        slow_calls=0,
        first_failure=Sighting(),
        last_failure=Sighting(),
        config_version=1,
        seq=1,
    )
    worker.hear(BREAKER_TRANSITIONS, "pay", change, at)


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


async def test_a_reset_and_the_rates_of_metrics_only_are_events_without_a_change(
    worker: OneWorker, served: Site
) -> None:
    async with served.request("GET", f"{STREAM}/pay") as answer:
        move(worker, "METRICS_ONLY", "failure-rate", before=State.METRICS_ONLY)
        move(worker, "METRICS_ONLY", "slow-call-rate", before=State.METRICS_ONLY)
        move(worker, "CLOSED", "act", before=State.METRICS_ONLY)
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


class Listening:
    """The frames of one stream, as they come."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def frame(self) -> dict[str, str]:
        text = (await self.answer.content.readuntil(b"\n\n")).decode()
        return dict(line.split(":", 1) for line in text.strip().split("\n"))

    async def event(self) -> dict[str, str]:
        while (found := await self.frame()) == {"event": "ping"}:
            pass
        return found


async def test_an_event_is_streamed_as_spring_writes_it(worker: OneWorker, served: Site) -> None:
    async with served.request("GET", STREAM) as answer:
        assert answer.content_type == "text/event-stream"
        call(worker, "failure", error="Refused", duration_ms=7)
        found = await Listening(answer).event()
    assert (found["id"], found["event"]) == ("pay", "ERROR")
    assert json.loads(found["data"]) == {
        "circuitBreakerName": "pay",
        "type": "ERROR",
        "creationTime": "2026-09-21T14:13:20Z[UTC]",
        "errorMessage": "Refused",
        "durationInMs": 7,
        "stateTransition": None,
    }


async def test_a_stream_pings_while_nothing_happens(served: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker_stream, "PING_S", 0.01)
    async with served.request("GET", STREAM) as answer:
        assert [await Listening(answer).frame() for _ in range(3)] == [{"event": "ping"}] * 3


async def test_streams_are_narrowed_to_a_breaker_and_a_type(worker: OneWorker, served: Site) -> None:
    async with (
        served.request("GET", f"{STREAM}/pay") as of_pay,
        served.request("GET", f"{STREAM}/pay/state_transition") as of_changes,
    ):
        call(worker, "success", service="ship")
        call(worker, "success")
        move(worker, "OPEN", "failure-rate")
        assert (await Listening(of_pay).event())["event"] == "SUCCESS"
        assert (await Listening(of_changes).event())["event"] == "STATE_TRANSITION"


async def test_the_topics_are_read_once_for_all_and_only_while_somebody_listens(
    worker: OneWorker, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_stream, "PING_S", 0.01)
    async with served.request("GET", STREAM), served.request("GET", STREAM):
        assert len(worker.heard) == 1
    while worker.heard:
        await served.get("/actuator/info")
    async with served.request("GET", STREAM) as answer:
        call(worker, "success")
        assert (await Listening(answer).event())["event"] == "SUCCESS"


async def test_a_listener_that_does_not_read_is_dropped_and_others_do_not_notice(
    worker: OneWorker, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_stream, "BEHIND", 10)
    async with served.request("GET", STREAM) as quick, served.request("GET", STREAM) as slow:
        for _ in range(400):
            call(worker, "failure", error="x" * 60_000)
            assert (await Listening(quick).event())["event"] == "ERROR"
        with pytest.raises(ClientError):
            await slow.content.read()


async def test_streams_end_cleanly_when_the_worker_stops(worker: OneWorker) -> None:
    runner: web.AppRunner = await serve(worker, port=0)
    async with ClientSession() as client, asyncio.timeout(5):
        url = "http://{}:{}".format(*runner.addresses[0][:2])
        async with client.get(url + STREAM) as answer:
            call(worker, "success")
            stopping = asyncio.create_task(runner.cleanup())
            text = (await answer.content.read()).decode()
            await stopping
    assert text.startswith("id:pay\nevent:SUCCESS\n")
