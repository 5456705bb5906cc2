"""Retries, limiters and bulkheads of clients, as they report them, in the shapes of Resilience4j's endpoints."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.client_events import ClientEvents
from app.web import problem
from app.wire.topics import CLIENT_EVENTS
from tests.support.web import AS_OF_AT, OneWorker, Site

AT = "2026-09-21T14:13:20Z[UTC]"


@pytest.fixture
def worker() -> OneWorker:
    return OneWorker()


def report(worker: OneWorker, family: str, at: int = AS_OF_AT, name: str = "pay", **more: Any) -> None:
    worker.hear(CLIENT_EVENTS, name, ClientEvents(family=family, name=name, **more), at)


async def events(served: Site, path: str) -> list[dict[str, Any]]:
    status, body = await served.get(f"/actuator/{path}")
    assert status == 200, body
    [found] = body.values()
    kept: list[dict[str, Any]] = found
    return kept


async def test_a_retrys_events_have_the_error_and_the_attempts_of_the_newest(worker: OneWorker, served: Site) -> None:
    report(
        worker,
        "retry",
        counts={"SUCCESS": 1, "RETRY": 2, "IGNORED_ERROR": 1},
        attempts={"RETRY": 2, "SUCCESS": 2},
        errors={"RETRY": "ConnectTimeout", "SUCCESS": "ConnectTimeout", "IGNORED_ERROR": "KeyError"},
    )
    common = {"retryName": "pay", "creationTime": AT}
    assert await served.get("/actuator/retryevents/pay") == (
        200,
        {
            "retryEvents": [
                {**common, "type": "RETRY", "errorMessage": "ConnectTimeout", "numberOfAttempts": 2, "calls": 2},
                {**common, "type": "SUCCESS", "errorMessage": "ConnectTimeout", "numberOfAttempts": 2},
                {**common, "type": "IGNORED_ERROR", "errorMessage": "KeyError", "numberOfAttempts": 0},
            ]
        },
    )


HELD = ["CALL_PERMITTED", "CALL_REJECTED", "CALL_FINISHED"]


@pytest.mark.parametrize(
    ("family", "word", "types"),
    [
        ("ratelimiter", "rateLimiter", ["SUCCESSFUL_ACQUIRE", "FAILED_ACQUIRE", "DRAINED"]),
        ("bulkhead", "bulkhead", HELD),
        ("thread-pool-bulkhead", "bulkhead", HELD),
        ("timelimiter", "timeLimiter", ["SUCCESS", "ERROR", "TIMEOUT"]),
    ],
)
async def test_the_others_events_have_name_type_and_time(
    worker: OneWorker, served: Site, family: str, word: str, types: list[str]
) -> None:
    report(worker, family, counts=dict.fromkeys(types, 1))
    shown = [{f"{word}Name": "pay", "type": type_, "creationTime": AT} for type_ in types]
    assert await served.get(f"/actuator/{word.lower()}events") == (200, {f"{word}Events": shown})


async def test_names_are_those_of_the_settings_and_those_that_were_reported(worker: OneWorker, served: Site) -> None:
    worker.named = {"retry": ["ship"], "bulkhead": ["pay"]}
    report(worker, "retry", counts={"RETRY": 1})
    report(worker, "thread-pool-bulkhead", name="mail", counts={"CALL_PERMITTED": 1})
    assert await served.get("/actuator/retries") == (200, {"retries": ["pay", "ship"]})
    assert await served.get("/actuator/bulkheads") == (200, {"bulkheads": ["mail", "pay"]})
    assert await served.get("/actuator/timelimiters") == (200, {"timeLimiters": []})


async def test_a_name_that_nobody_has_is_unknown_though_it_is_another_familys(worker: OneWorker, served: Site) -> None:
    worker.named = {"bulkhead": ["ship"]}
    report(worker, "retry", counts={"RETRY": 1})
    assert (await served.problem("GET", "/actuator/bulkheadevents/pay"))["status"] == 404
    assert (await served.problem("GET", "/actuator/retryevents/ship"))["status"] == 404
    assert await events(served, "bulkheadevents/ship") == []


async def test_the_type_narrows_what_was_kept_in_whatever_case(worker: OneWorker, served: Site) -> None:
    report(worker, "timelimiter", counts={"SUCCESS": 3, "TIMEOUT": 1})
    assert [event["type"] for event in await events(served, "timelimiterevents/pay/timeout")] == ["TIMEOUT"]
    refused = await served.problem("GET", "/actuator/timelimiterevents/pay/RETRY")
    assert (refused["status"], refused["field"]) == (400, "type")


async def test_the_newest_hundred_of_each_name_are_shown_the_oldest_first(worker: OneWorker, served: Site) -> None:
    for n in range(150):
        report(worker, "retry", AS_OF_AT + n, counts={"RETRY": n + 1})
    report(worker, "retry", AS_OF_AT + 3, "ship", counts={"ERROR": 7})
    found = await events(served, "retryevents")
    assert [event["calls"] for event in found if event["retryName"] == "pay"] == list(range(51, 151))
    assert [event["calls"] for event in found if event["retryName"] == "ship"] == [7]


async def test_types_and_families_of_a_later_version_are_passed_over(worker: OneWorker, served: Site) -> None:
    report(worker, "retry", counts={"RETRY": 1, "PONDERED": 2})
    report(worker, "hedge", counts={"PRIMARY_SUCCESS": 1})
    assert [event["type"] for event in await events(served, "retryevents")] == ["RETRY"]


async def test_a_record_under_another_key_is_passed_over(worker: OneWorker, served: Site) -> None:
    worker.hear(CLIENT_EVENTS, "ship", ClientEvents(family="retry", name="pay", counts={"RETRY": 1}))
    assert await events(served, "retryevents") == []
    assert await served.get("/actuator/retries") == (200, {"retries": []})


@pytest.mark.parametrize("path", ["retries", "retryevents", "retryevents/pay", "retryevents/pay/ERROR"])
async def test_kafka_that_does_not_answer_is_named(
    worker: OneWorker, served: Site, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problem, "KAFKA_S", 0.01)
    worker.kafka_answers = asyncio.Event()
    found = await served.problem("GET", f"/actuator/{path}")
    assert (found["status"], found["detail"]) == (503, "Kafka does not answer within 0.01 s")
