"""Circuit breakers over HTTP, of a real worker on a real Kafka, and of two of them."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from typing import Any, NamedTuple

import pytest

from tests.support.kafka import Written, wait_for
from tests.support.product import Product, free_port

NAME = "payment-service"
PATH = f"/actuator/circuitbreakers/{NAME}"
TYPES = ["SUCCESS", "ERROR", "STATE_TRANSITION"]
COURIER = """\
iopt.breakers.courier: {most: 1, scopes: [service, operation]}
resilience4j.circuitbreaker.instances: {"[courier:op:book]": {slidingWindowSize: 10}}
"""


def ask(url: str, body: Any = None) -> tuple[int, Any]:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"} if data else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except urllib.error.URLError:
        return 0, None


def outcome(outcome: str, **more: Any) -> Written:
    return said(NAME, outcome=outcome, **more)


def said(service: str, **more: Any) -> Written:
    return Written(service, json.dumps({"service": service, **more}).encode())


def shown(url: str, name: str = NAME) -> dict[str, Any]:
    code, body = ask(f"{url}/actuator/circuitbreakers")
    return body["circuitBreakers"].get(name, {}) if code == 200 else {}


def events(url: str, path: str = "") -> list[dict[str, Any]]:
    code, body = ask(f"{url}/actuator/circuitbreakerevents{path}")
    assert code == 200, body
    found: list[dict[str, Any]] = body["circuitBreakerEvents"]
    return found


class Heard:
    """The types of a stream's events, read beside the test."""

    def __init__(self, url: str) -> None:
        self.types: list[str] = []
        self._answer = urllib.request.urlopen(url)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._answer:
            if line.startswith(b"event:"):
                self.types.append(line.decode().removeprefix("event:").strip())

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()


class Story(NamedTuple):
    """What was answered on the way: two calls, then it was opened by hand."""

    product: Product
    heard: Heard
    before: dict[str, Any]
    counted: dict[str, Any]
    opened: tuple[int, Any]


@pytest.fixture(scope="module")
def story(product: Product) -> Story:
    product.settings.write_text(product.settings.read_text() + COURIER)
    product.ready()
    before = shown(product.url)
    heard = Heard(f"{product.url}/actuator/streamcircuitbreakerevents/{NAME}")
    product.kafka.write("iopt.call-outcomes", outcome("success", duration_ms=120), outcome("failure", error="Refused"))
    wait_for(lambda: shown(product.url)["bufferedCalls"] == 2, "the calls to be counted")
    counted = shown(product.url)
    return Story(product, heard, before, counted, ask(product.url + PATH, {"state": "OPEN", "reason": "a test"}))


def test_a_breaker_is_shown_from_before_its_first_call_on(story: Story) -> None:
    assert (story.before["state"], story.before["bufferedCalls"]) == ("CLOSED", 0)
    assert (story.counted["failedCalls"], story.counted["failureRate"]) == (1, "-1.0%")
    assert shown(story.product.url)["state"] == "FORCED_OPEN"


def test_it_is_opened_by_hand_once_that_is_committed_and_the_audit_says_by_whom(story: Story) -> None:
    message = f"{NAME} state has been changed successfully"
    assert story.opened == (200, {"circuitBreakerName": NAME, "currentState": "FORCED_OPEN", "message": message})
    [audit] = story.product.kafka.read("iopt.audit", count=1)
    said = json.loads(audit.value or b"")
    assert (said["actor"], said["what"], said["reason"]) == ("anonymous@127.0.0.1", "breaker.force-open", "a test")
    assert ask(f"{story.product.url}/actuator/circuitbreakers/nobody", {"state": "OPEN"})[0] == 404


def test_its_events_are_listed_and_streamed(story: Story) -> None:
    url, heard = story.product.url, story.heard
    assert [event["type"] for event in events(url, f"/{NAME}")] == TYPES
    [changed] = events(url, f"/{NAME}/STATE_TRANSITION")
    assert changed["stateTransition"] == "CLOSED_TO_FORCED_OPEN"
    wait_for(lambda: [each for each in heard.types if each != "ping"] == TYPES, "the events to be streamed")


def test_its_metrics_have_resilience4js_names(story: Story) -> None:
    with urllib.request.urlopen(f"{story.product.url}/actuator/prometheus") as answered:
        metrics = answered.read().decode()
    assert f'resilience4j_circuitbreaker_state{{name="{NAME}",state="forced_open"}} 1.0' in metrics
    assert f'resilience4j_circuitbreaker_calls_seconds_sum{{kind="successful",name="{NAME}"}} 0.12' in metrics


def test_resets_and_the_rates_of_metrics_only_are_listed_too(story: Story) -> None:
    url, kafka = story.product.url, story.product.kafka
    kafka.write("iopt.call-outcomes", said("courier", outcome="success"))
    wait_for(lambda: shown(url, "courier"), "the breaker to begin")
    assert ask(f"{url}/actuator/circuitbreakers/courier", {"state": "METRICS_ONLY"})[0] == 200
    kafka.write("iopt.call-outcomes", said("courier", counts={"failure": 100}))
    wait_for(lambda: shown(url, "courier")["failedCalls"] == 100, "the calls to be counted")
    assert ask(f"{url}/actuator/circuitbreakers/courier", {"updateState": "RESET"})[0] == 200
    types = ["SUCCESS", "STATE_TRANSITION", "ERROR", "FAILURE_RATE_EXCEEDED", "STATE_TRANSITION", "RESET"]
    assert [event["type"] for event in events(url, "/courier")] == types


def test_a_refused_act_is_a_conflict_that_says_why(story: Story) -> None:
    url = f"{story.product.url}/actuator/circuitbreakers"
    assert ask(f"{url}/courier", {"updateState": "DISABLE"})[0] == 200
    code, problem = ask(f"{url}/courier:op:book", {"updateState": "CLOSE"})
    assert code == 409
    assert problem["detail"].startswith(
        "close was refused: courier has 1 breakers, and none of them can go; its act_id"
    )


@pytest.mark.timeout(240)
def test_whichever_of_two_workers_is_asked_and_a_stream_ends_with_its_worker(story: Story) -> None:
    [first], url, port = story.product.workers, story.product.url, free_port()
    second, other = story.product.start(port), f"http://127.0.0.1:{port}"
    wait_for(lambda: len(second.events("task_ready")) >= 4, "the second worker to have its part", 60)
    wait_for(lambda: shown(other).get("state") == shown(url).get("state") == "FORCED_OPEN", "both to show all", 60)
    assert [event["type"] for event in events(other, f"/{NAME}")] == TYPES
    for each, word, state in ((url, "DISABLE", "DISABLED"), (other, "CLOSE", "CLOSED")):
        code, body = ask(each + PATH, {"updateState": word})
        assert (code, body["currentState"]) == (200, state)
    assert first.stop() == 0
    wait_for(lambda: story.heard.ended, "the stream to end")
