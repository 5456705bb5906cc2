"""HTTP on 8104: the actuator."""

import asyncio

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families as families

from app.domain.breakers.breaker import Policy
from app.domain.breakers.fleet import Fleet
from app.telemetry import metrics
from app.web.server import serve
from app.web.service import Component, Health, Status
from tests.support.fleets import Row
from tests.support.web import UP, OneWorker


@pytest.fixture
def worker() -> OneWorker:
    return OneWorker()


def called(service: str, policy: Policy, *outcomes: str) -> Fleet:
    row = Row(policy, service=service)
    for at_ms, outcome in enumerate(outcomes):
        row.call(outcome, at_ms)
    assert row.fleet
    return row.fleet


async def test_the_actuator_names_what_it_has(served):
    status, body = await served.get("/actuator")
    assert status == 200
    assert body["_links"]["self"] == {"href": f"{served.url}/actuator", "templated": False}
    assert body["_links"]["metrics-requiredMetricName"]["templated"] is True
    for name, link in body["_links"].items():
        if not link["templated"] and name not in ("prometheus", "streamcircuitbreakerevents"):
            assert (await served.get(link["href"].removeprefix(served.url)))[0] == 200


async def test_health_is_up_with_its_components(served):
    assert await served.get("/actuator/health") == (
        200,
        {
            "status": "UP",
            "components": {
                "kafka": {"status": "UP", "details": {"brokers": 1}},
                "livenessState": {"status": "UP"},
                "readinessState": {"status": "UP"},
            },
            "groups": ["liveness", "readiness"],
        },
    )


@pytest.mark.parametrize(
    ("health", "codes"),
    [
        (Health({}, UP, Component(Status.OUT_OF_SERVICE, {"joining": "iopt"})), (503, 200, 503)),
        (Health({}, Component(Status.DOWN, {"stuck": ["saga-1"]}), UP), (503, 503, 200)),
        (Health({"kafka": Component(Status.DOWN)}, UP, UP), (503, 200, 200)),
        (Health({"tasks": Component(Status.UNKNOWN)}, UP, UP), (200, 200, 200)),
    ],
)
async def test_what_is_down_is_503_and_named(served, worker, health, codes):
    worker.says = health
    paths = ("", "/liveness", "/readiness")
    replies = [await served.get(f"/actuator/health{path}") for path in paths]
    assert tuple(status for status, _ in replies) == codes
    for (status, body), said in zip(replies[1:], (health.liveness, health.readiness), strict=True):
        assert body["status"] == said.status
        [component] = body["components"].values()
        assert component.get("details", {}) == said.details
        assert (status == 503) == (said.status in ("DOWN", "OUT_OF_SERVICE"))


async def test_the_worst_component_is_the_status(served, worker):
    worker.says = Health({"a": Component(Status.DOWN)}, UP, Component(Status.OUT_OF_SERVICE))
    assert (await served.get("/actuator/health"))[1]["status"] == "DOWN"


async def test_info_says_what_runs(served):
    assert (await served.get("/actuator/info"))[1]["build"] == {"version": "0.1.0"}


@pytest.mark.parametrize("path", ["/metrics", "/actuator/prometheus"])
async def test_the_catalogue_is_shown_as_prometheus_text(served, path):
    metrics.RECORDS.add(("orders", "processed", ""), 3)
    content_type, text = await served.text(path)
    assert content_type.startswith("text/plain; version=")
    found = {family.name: family for family in families(text)}
    assert "iopt_commit_seconds" in found
    assert any(sample.labels["topic"] == "orders" and sample.value >= 3 for sample in found["iopt_records"].samples)


async def test_openmetrics_is_given_to_those_who_ask(served):
    content_type, text = await served.text("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


async def test_breaker_states_are_looked_up_at_each_scrape(served, worker):
    policy = Policy(minimum_number_of_calls=1)
    worker.tables["breakers"] = {"pay": called("pay", policy, "failure")}
    shown = [
        (sample.labels["breaker"], sample.labels["state"])
        for family in families((await served.text("/metrics"))[1])
        for sample in family.samples
        if sample.name == "iopt_breaker_state" and sample.value
    ]
    assert shown == [("pay", "OPEN")]


async def test_a_metric_is_shown_as_spring_shows_it(served):
    metrics.DEAD_LETTERS.add(("orders-7", "bug"), 2)
    metrics.DEAD_LETTERS.add(("orders-7", "refused"), 1)
    _, body = await served.get("/actuator/metrics/iopt_dead_letters_total?tag=topic:orders-7")
    assert body["measurements"] == [{"statistic": "COUNT", "value": 3}]
    assert body["availableTags"] == [{"tag": "reason", "values": ["bug", "refused"]}]
    assert body["baseUnit"] == "records"
    _, body = await served.get("/actuator/metrics/iopt_commit_seconds")
    assert [one["statistic"] for one in body["measurements"]] == ["COUNT", "TOTAL"]


async def test_every_metric_can_be_asked_for(served):
    _, body = await served.get("/actuator/metrics")
    for name in body["names"]:
        assert (await served.get(f"/actuator/metrics/{name}"))[0] == 200


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/actuator/metrics/iopt_nothing", 404, "name"),
        ("/actuator/metrics/iopt_lag?tag=colour:red", 400, "tag"),
        ("/actuator/metrics/iopt_lag?tag=topic", 400, "tag"),
        ("/actuator/metrics/iopt_lag?tag=topic:none-such", 404, "tag"),
        ("/actuator/circuitbreakers?name=pay", 400, "name"),
    ],
)
async def test_a_wrong_question_is_named(served, path, status, field):
    problem = await served.problem("GET", path)
    assert (problem["status"], problem["field"]) == (status, field)


async def test_circuit_breakers_have_resilience4js_shape(served, worker):
    worker.policies = {"payment-service": Policy(sliding_window_size=20, minimum_number_of_calls=3)}
    worker.tables["breakers"] = {
        name: called(name, worker.policy(name), *outcomes)
        for name, outcomes in {
            "payment-service": ("success", "failure", "timeout", "rejected"),
            "courier-service": ("success",),
        }.items()
    }
    assert await served.get("/actuator/circuitbreakers") == (
        200,
        {
            "circuitBreakers": {
                "courier-service": {
                    "failureRate": "-1.0%",
                    "slowCallRate": "-1.0%",
                    "failureRateThreshold": "50.0%",
                    "slowCallRateThreshold": "100.0%",
                    "bufferedCalls": 1,
                    "failedCalls": 0,
                    "slowCalls": 0,
                    "slowFailedCalls": 0,
                    "notPermittedCalls": 0,
                    "state": "CLOSED",
                },
                "payment-service": {
                    "failureRate": "66.666664%",
                    "slowCallRate": "0.0%",
                    "failureRateThreshold": "50.0%",
                    "slowCallRateThreshold": "100.0%",
                    "bufferedCalls": 3,
                    "failedCalls": 2,
                    "slowCalls": 0,
                    "slowFailedCalls": 0,
                    "notPermittedCalls": 1,
                    "state": "OPEN",
                },
            }
        },
    )


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("GET", "/sagas/order/o-1/history", "history"),
        ("GET", "/sagas/order/by-key?key=o-1", "key"),
        ("POST", "/sagas/order", "starting a saga"),
        ("POST", "/sagas/order/o-1/acts", "acting on a saga"),
    ],
)
async def test_what_is_not_there_yet_says_so_by_name(served, method, path, words):
    problem = await served.problem(method, path)
    assert problem["status"] == 501
    assert words in problem["detail"]


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(served):
    assert (await served.problem("GET", "/nothing"))["status"] == 404
    problem = await served.problem("DELETE", "/sagas/order/o-1")
    assert problem["status"] == 405
    assert "GET" in problem["detail"]


async def test_a_port_that_is_taken_is_an_error(worker, served):
    with pytest.raises(OSError, match="address already in use"):
        await serve(worker, port=int(served.url.rsplit(":", 1)[1]))


async def test_it_listens_on_this_machine_only(worker):
    runner: web.AppRunner = await serve(worker, port=0)
    assert [address[0] for address in runner.addresses] == ["127.0.0.1"]
    await asyncio.wait_for(runner.cleanup(), 5)
