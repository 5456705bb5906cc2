"""Events of circuit breakers as server-sent events, in the shape of Resilience4j's endpoint."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import ClientError, ClientSession, web

from app.web import breaker_stream
from app.web.server import serve
from tests.support.breaker_events import Listening, call, move
from tests.support.web import OneWorker, Site

STREAM = "/actuator/streamcircuitbreakerevents"


@pytest.fixture
def worker() -> OneWorker:
    found = OneWorker()
    found.named = {"circuitbreaker": ["pay"]}
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
