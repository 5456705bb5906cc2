"""Code of a caller that raises: a breaker's predicate, a subscriber, an error's own text."""

import asyncio

import pytest

from app.client.breaker import CircuitBreaker
from app.client.fallback import Fallback
from app.client.judging import CircuitBreakerPolicy
from app.client.resilience import Resilience
from app.client.retry import Retry, RetryPolicy
from app.domain.breakers.breaker import State
from tests.support.virtual_clock import VirtualClock


class Unwritable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def unwritable():
    raise Unwritable


def asks(answer):
    return answer.status >= 500


def trying(**settings):
    """With one trial call to make."""
    breaker = CircuitBreaker(
        "pay", CircuitBreakerPolicy(permitted_number_of_calls_in_half_open_state=1, **settings), VirtualClock()
    )
    breaker.move("OPEN")
    breaker.move("HALF_OPEN")
    return breaker


async def nothing():
    return None


@pytest.mark.parametrize(
    "settings", [{"record_result": asks}, {"transition_on_result": lambda ended: asks(ended.result)}]
)
def test_what_a_predicate_of_results_raises_is_the_calls_error(settings):
    breaker = trying(**settings)

    with pytest.raises(AttributeError, match="status"):
        breaker.call(lambda: None)

    assert breaker.state is State.OPEN
    assert breaker.counts()["ERROR"] == 1


def test_in_a_coroutine_too():
    breaker = trying(record_result=asks)

    with pytest.raises(AttributeError, match="status"):
        asyncio.run(breaker.acall(nothing))

    assert breaker.state is State.OPEN


@pytest.mark.parametrize("predicate", ["record_failure", "ignore_exception"])
def test_what_a_predicate_of_errors_raises_is_the_calls_error(predicate):
    breaker = trying(**{predicate: asks})

    with pytest.raises(AttributeError, match="status"):
        breaker.call(int, "x")

    assert breaker.state is State.OPEN


def test_an_error_that_cannot_be_written_is_told_by_its_type():
    breaker = trying()

    with pytest.raises(Unwritable):
        breaker.call(unwritable)

    assert breaker.state is State.OPEN
    assert [event.error for event in breaker.recent_events() if event.type == "ERROR"] == ["Unwritable"]


def test_such_an_error_is_retried_and_replaced_as_any_other():
    retry = Retry("pay", RetryPolicy(max_attempts=2), VirtualClock())
    instead = Fallback("pay", {Unwritable: lambda error, _call: type(error).__name__})

    assert instead.call(retry.call, unwritable) == "Unwritable"
    assert [event.error for event in retry.recent_events()] == ["Unwritable", "Unwritable"]


def test_a_subscriber_of_the_registry_that_fails_fails_no_call(caplog):
    resilience = Resilience(policies={"retry": {"pay": RetryPolicy()}}, clock=VirtualClock())
    resilience.registry.on_event(lambda event: event.nothing)

    assert resilience.call("pay", int, "7") == 7
    assert "a subscriber of the registry failed" in caplog.text
