"""A client with a retry and a limiter, a real Kafka, and a worker that is asked what they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from app.client.kafka import connect
from app.client.resilience import Resilience
from app.client.scope import Who
from tests.kafka.test_web_breakers import ask
from tests.support.kafka import Written, wait_for
from tests.support.product import Product

NAME = "charges"
TOPIC = "iopt.client-events"
SETTINGS = {
    "resilience4j": {
        "retry": {"instances": {NAME: {"maxAttempts": 3, "waitDuration": "1ms"}}},
        "bulkhead": {"instances": {NAME: {"maxConcurrentCalls": 5}}},
    }
}
RUBBISH = (
    b"\xff\xfe no text at all",
    b'{"family": "retry"',
    b'{"family": "retry", "name": "charges"}',
    b'{"family": "retry", "name": "charges", "counts": {}}',
    b'{"family": "retry", "name": "charges", "counts": {"RETRY": -1}}',
    b'{"family": "retry", "name": "charges", "counts": {"RETRY": 1001}}',
    b'{"family": "retry", "name": "charges", "counts": {"RETRY": 9}, "errors": {"RETRY": 7}}',
    b'{"family": "hedge", "name": "charges", "counts": {"PRIMARY_SUCCESS": 1}}',
    b'{"family": "retry", "name": "another", "counts": {"RETRY": 9}}',
    b"[" * 10_000,
)


def shown(product: Product, path: str) -> Any:
    code, body = ask(f"{product.url}/actuator/{path}")
    return body if code == 200 else code


def told(product: Product, path: str, word: str) -> Counter[str]:
    """How many events of each type."""
    found: Counter[str] = Counter()
    for event in shown(product, path)[word]:
        found[event["type"]] += event.get("calls", 1)
    return found


def litter(product: Product) -> None:
    odd_headers = Written(NAME, b"{}", (("ce_type", b"\xff"), ("content-type", b"text/plain")))
    product.kafka.write(TOPIC, *((NAME, value) for value in RUBBISH), (NAME, None), (None, RUBBISH[0]), odd_headers)


@pytest.fixture(scope="module")
def story(product: Product) -> Iterator[Product]:
    """A call that fails twice, and rubbish before and after what is told of it."""
    product.ready()
    assert shown(product, "retryevents") == {"retryEvents": []}
    assert shown(product, f"retryevents/{NAME}") == 404
    litter(product)
    fleet = connect(product.kafka.bootstrap, Who.of("order-service"))
    left = [ConnectionError("card 4711"), ConnectionError("card 4712")]

    def charge() -> str:
        if left:
            raise left.pop()
        return "charged"

    assert Resilience(SETTINGS, fleet=fleet).call(NAME, charge) == "charged"
    wait_for(lambda: told(product, "bulkheadevents", "bulkheadEvents")["CALL_FINISHED"] == 3, "all to be told", 60)
    litter(product)
    yield product
    fleet.close()


@pytest.mark.timeout(240)
def test_a_retry_that_failed_twice_is_shown_though_rubbish_lies_around_it(story: Product) -> None:
    assert told(story, f"retryevents/{NAME}", "retryEvents") == {"RETRY": 2, "SUCCESS": 1}
    [success] = shown(story, f"retryevents/{NAME}/success")["retryEvents"]
    assert success.pop("creationTime").endswith("Z[UTC]")
    assert success == {"retryName": NAME, "type": "SUCCESS", "errorMessage": "ConnectionError", "numberOfAttempts": 2}


def test_so_is_what_its_bulkhead_did(story: Product) -> None:
    assert told(story, f"bulkheadevents/{NAME}", "bulkheadEvents") == {"CALL_PERMITTED": 3, "CALL_FINISHED": 3}


def test_what_was_reported_is_listed_by_name(story: Product) -> None:
    assert shown(story, "retries") == {"retries": [NAME]}
    assert shown(story, "bulkheads") == {"bulkheads": [NAME]}
    assert shown(story, "ratelimiters") == {"rateLimiters": []}
    assert shown(story, f"ratelimiterevents/{NAME}") == 404


def test_what_cannot_be_read_is_logged_once_for_each_partition(story: Product) -> None:
    for _ in range(3):
        shown(story, "retries")
    places = [(event["topic"], event["partition"]) for event in story.workers[0].events("unreadable")]
    assert {topic for topic, _ in places} == {TOPIC}
    assert len(places) == len(set(places))


def test_an_errors_message_stays_with_the_caller(story: Product) -> None:
    values = [record.value or b"" for record in story.kafka.read_all(TOPIC)]
    assert any(b"ConnectionError" in value for value in values)
    assert not any(b"card 47" in value for value in values)
