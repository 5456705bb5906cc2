"""`iopt worker` with the order saga on a real Kafka: what it says is what the driver says (D1)."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.kafka import wait_for
from tests.support.product import IOPT, ORDERS, SERVICES, Product, ended, event, free_port, in_driver, trace_of_order
from tests.support.workers import Process


@pytest.mark.parametrize("careful", [False, True], ids=["batch", "careful"])
def test_d1_what_kafka_shows_is_what_the_driver_shows(played, careful):
    told = played.told()
    expected = in_driver(played.settings, ORDERS, careful=careful)
    assert told.keys() == expected.keys()
    different = {at: (told[at], expected[at]) for at in told if _story(told[at]) != _story(expected[at])}
    assert not different


def _story(said: list[Any]) -> list[Any]:
    """A service's outcomes come from several sagas at once: each saga's in order, whatever is between them."""
    return sorted(said, key=str) if said and "outcome" in said[0] and "service" in said[0] else said


def test_the_trace_of_an_event_is_carried_to_every_command(played):
    for service in SERVICES:
        for command in played.kafka.read_all(f"{service}.commands"):
            order = json.loads(command.value)["saga_id"].removeprefix("order/")
            trace = dict(command.headers)["traceparent"]
            assert trace.split(b"-")[1] == trace_of_order(order).split(b"-")[1]


def get(product: Product, path: str) -> tuple[int, Any]:
    return request(product.url + path)


def request(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url) as answer:
            text, code = answer.read(), answer.status
    except urllib.error.HTTPError as error:
        text, code = error.read(), error.code
    except urllib.error.URLError:
        return 0, None
    return code, json.loads(text) if text.startswith(b"{") else text.decode()


def test_http_shows_sagas_breakers_and_health(played):
    code, saga = get(played, "/sagas/order/o-4-unshippable")
    assert (code, saga["state"]) == (200, "COMPENSATED")
    code, listed = get(played, "/sagas?limit=100")
    assert {item["key"] for item in listed["items"]} >= set(ORDERS)
    assert get(played, "/sagas/order/nobody")[0] == 404
    code, health = get(played, "/actuator/health/liveness")
    assert (code, health["status"]) == (200, "UP")
    code, breakers = get(played, "/actuator/circuitbreakers")
    assert breakers["circuitBreakers"]["payment-service"]["failureRateThreshold"] == "50.0%"


def test_metrics_count_every_fate(played):
    _, text = get(played, "/actuator/prometheus")
    assert 'iopt_sagas{state="COMPENSATED"} 2.0' in text
    assert 'iopt_records_total{fate="processed",reason="",topic="iopt.saga-replies"}' in text


def test_a_definition_changed_under_its_version_is_refused(played, tmp_path: Path):
    changed = tmp_path / "order.yaml"
    changed.write_text((played.directory / "order.yaml").read_text().replace("deadline: 15m", "deadline: 16m"))
    settings = tmp_path / "application.yml"
    settings.write_text(played.settings.read_text().replace(str(played.directory / "order.yaml"), str(changed)))
    environment = played.environment() | {"IOPT_PORT": "0", "IOPT_DATA_DIR": str(tmp_path / "data")}
    refused = worker(settings, environment)
    assert refused.returncode == 1
    assert "order/1 is published with other content" in refused.stderr


def test_a_missing_command_topic_is_named_before_anything_is_consumed(played, tmp_path: Path):
    missing = tmp_path / "order.yaml"
    missing.write_text((played.directory / "order.yaml").read_text().replace("courier-service", "drone-service"))
    settings = tmp_path / "application.yml"
    settings.write_text(played.settings.read_text().replace(str(played.directory / "order.yaml"), str(missing)))
    refused = worker(settings, played.environment() | {"IOPT_PORT": "0", "IOPT_DATA_DIR": str(tmp_path / "data")})
    assert refused.returncode == 1
    assert "drone-service.commands" in refused.stderr


def test_a_taken_port_is_named(played, tmp_path: Path):
    refused = worker(played.settings, played.environment() | {"IOPT_DATA_DIR": str(tmp_path / "data")})
    assert refused.returncode == 1
    assert f"port {played.port}" in refused.stderr


def worker(settings: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [IOPT, "--config", str(settings), "worker"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_d2_faust_lists_our_agents(played):
    command = [sys.executable, "-m", "faust", "-A", "app.worker", "agents"]
    listed = subprocess.run(
        command, env=played.environment(), cwd=played.directory, capture_output=True, text=True, timeout=60, check=False
    )
    for agent in ("agents.saga.run_sagas", "agents.route.start_sagas", "agents.breaker.judge_calls"):
        assert agent in listed.stdout


def tasks(worker: Process) -> list[str]:
    """Those that it was given last."""
    events = worker.events("tasks_assigned")
    return events[-1]["tasks"] if events else []


@pytest.mark.timeout(300)
def test_t2_whichever_worker_is_asked_the_owner_answers(played):
    """Also after one of two came back under another address, which no rebalance told; and not when it is gone."""
    first, ports = played.workers[-1], [free_port(), free_port()]
    second = played.start(ports[0])
    wait_for(lambda: len(tasks(first)) == len(tasks(second)) == 6, "the tasks to be shared", 60)
    for port in (played.port, ports[0]):
        wait_for(
            lambda port=port: [ask(port, order)[0] for order in ORDERS] == [200] * len(ORDERS), "all to answer", 30
        )
    assert ask(played.port, ORDERS[0])[1]["saga_id"] == ask(ports[0], ORDERS[0])[1]["saga_id"]
    assert ask(ports[0], "nobody")[0] == 404
    kept = [item["key"] for item in request(f"http://127.0.0.1:{ports[0]}/sagas?limit=100")[1]["items"]]
    assert 0 < len(kept) < len(ORDERS)
    assert second.stop() == 0
    second = played.start(ports[1])
    wait_for(
        lambda: all(ask(port, key)[0] == 200 for key in kept for port in (played.port, ports[1])), "its new address", 60
    )
    second.kill()
    code, problem = ask(played.port, kept[0])
    assert (code, f"127.0.0.1:{ports[1]}, which does not answer" in problem["detail"]) == (503, True)
    wait_for(lambda: len(tasks(first)) == 12, "the first to have all tasks", 60)
    wait_for(
        lambda: [ask(played.port, order)[0] for order in ORDERS] == [200] * len(ORDERS), "it to answer for all", 60
    )


def ask(port: int, key: str) -> tuple[int, Any]:
    return request(f"http://127.0.0.1:{port}/sagas/order/{key}")


def test_t2_a_domain_topic_that_grows_is_read_whole_without_a_restart(played):
    """The last one of this file: it leaves another number of partitions behind."""
    worker = next(worker for worker in played.workers if worker.code is None)
    played.kafka.grow("orders", 6)
    wait_for(lambda: {"route-4", "route-5"} <= set(tasks(worker)), "the new tasks", 60)
    grown = [f"o-{n}" for n in range(10, 30)]
    played.kafka.write("orders", *(event(order) for order in grown))
    played.serve(ended(*grown))
    assert worker.code is None
