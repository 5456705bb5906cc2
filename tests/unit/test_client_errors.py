import pickle

import pytest

from app.client.clock import Clock
from app.client.errors import BulkheadFull, CallNotPermitted, MaxRetriesExceeded, RequestNotPermitted, TimeLimitExceeded
from app.client.events import Events
from tests.support.virtual_clock import VirtualClock


def test_a_refusal_tells_who_refused_and_when_to_come_again():
    assert str(RequestNotPermitted("pay", 20)) == (
        "RateLimiter 'pay' does not permit further calls; try again in 20 ms"
    )
    assert str(BulkheadFull("pay")) == "Bulkhead 'pay' is full and does not permit further calls"


def test_a_time_limit_is_a_timeout_to_those_who_know_no_better():
    assert issubclass(TimeLimitExceeded, TimeoutError)


@pytest.mark.parametrize(
    "error",
    [CallNotPermitted("pay", 7), BulkheadFull("pay"), TimeLimitExceeded("pay"), MaxRetriesExceeded("pay", 3, {})],
)
def test_errors_travel_between_processes(error):
    other = pickle.loads(pickle.dumps(error))
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))


def test_the_newest_hundred_events_are_kept_and_all_are_counted():
    events = Events("b", ("PERMITTED",), VirtualClock())
    for number in range(250):
        events.publish("PERMITTED", number)
    assert [event.number for event in events.recent()] == list(range(150, 250))
    assert events.counts() == {"PERMITTED": 250}


def test_a_subscriber_gets_the_types_it_asked_for_until_it_leaves():
    events, heard = Events("b", ("A", "B"), VirtualClock()), []
    leave = events.on_event(lambda event: heard.append(event.type), "B")
    for type_ in "ABA":
        events.publish(type_)
    leave()
    events.publish("B")
    assert heard == ["B"]


def test_a_subscriber_that_fails_is_logged_and_harms_nobody(caplog):
    events = Events("b", ("A",), VirtualClock())
    events.on_event(lambda event: 1 / event.number)
    events.publish("A")
    assert "a subscriber of b failed" in caplog.text


def test_an_event_tells_its_error_in_words_and_keeps_no_stack():
    events = Events("b", ("ERROR",), VirtualClock())
    events.publish("ERROR", 3, error=ValueError("no"))
    assert [(event.number, event.error) for event in events.recent()] == [(3, "ValueError: no")]


def test_the_real_clock_goes_on_by_itself():
    clock = Clock()
    before = clock.now_ns()
    clock.sleep(1)
    assert clock.now_ns() > before
    assert 0 <= clock.random() < 1
