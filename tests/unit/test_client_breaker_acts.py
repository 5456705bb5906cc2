import threading

import pytest
from msgspec import structs

from app.client.alarm import Alarm
from app.client.breaker import CircuitBreaker
from app.client.errors import CallNotPermitted
from app.client.judging import OpenFor, OpenUntil
from app.domain.breakers.breaker import NoSuchChange, State
from app.domain.interval import fixed, randomized
from tests.support.failures import BadRequest
from tests.support.small_breaker import SMALL, fail, of
from tests.support.virtual_clock import MS, VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


def test_an_open_one_says_its_name_its_state_and_when_to_come_again(clock):
    breaker = of(clock)
    fail(breaker, 4)
    clock.advance(400 * MS)
    with pytest.raises(CallNotPermitted, match="'pay' is OPEN and does not permit further calls") as refused:
        breaker.call(print)
    assert (refused.value.name, refused.value.state, refused.value.retry_after_ms) == ("pay", "OPEN", 601)
    clock.advance(refused.value.retry_after_ms * MS)
    assert breaker.call(lambda: 7) == 7


def test_one_that_is_forced_open_cannot_say_when(clock):
    breaker = of(clock)
    breaker.move(State.FORCED_OPEN)
    with pytest.raises(CallNotPermitted) as refused:
        breaker.call(print)
    assert (refused.value.state, refused.value.retry_after_ms) == ("FORCED_OPEN", None)


def test_by_hand(clock):
    breaker = of(clock)
    breaker.open_for(50)
    assert not breaker.try_acquire()
    breaker.move("DISABLED")
    fail(breaker, 9)
    assert breaker.state is State.DISABLED
    breaker.reset()
    assert (breaker.state, breaker.metrics().buffered) == (State.CLOSED, 0)
    with pytest.raises(NoSuchChange):
        breaker.move("HALF_OPEN")


def test_a_new_policy_judges_the_calls_that_are_there(clock):
    breaker = of(clock, failure_rate_threshold=100.0)
    breaker.call(int)
    fail(breaker, 3)
    breaker.policy = SMALL
    assert breaker.state is State.CLOSED
    breaker.call(int)
    assert breaker.state is State.OPEN


@pytest.mark.parametrize(
    ("opens", "until_ms"),
    [(OpenFor(300), 350), (OpenUntil(900), 900), (None, None)],
)
def test_how_a_call_ended_can_open_it_for_its_own_wait(clock, opens, until_ms):
    breaker = of(clock, transition_on_result=lambda ended: opens if ended.result == "busy" else None)
    breaker.call(lambda: "fine")
    assert breaker.state is State.CLOSED
    clock.advance(50 * MS)
    breaker.call(lambda: "busy")
    if until_ms is None:
        assert breaker.state is State.CLOSED
    else:
        with pytest.raises(CallNotPermitted) as refused:
            breaker.call(print)
        assert refused.value.retry_after_ms == until_ms + 1 - 50


def test_what_was_permitted_before_gives_back_no_permit_of_the_trial(clock):
    breaker = of(clock, ignore_exceptions=(BadRequest,))
    before = breaker.acquire()
    fail(breaker, 4)
    clock.advance(1_001 * MS)
    assert breaker.try_acquire()
    breaker.release(before)
    breaker.error(0, BadRequest(), before)
    assert [breaker.try_acquire(), breaker.try_acquire()] == [True, False]


def test_a_randomized_wait_takes_the_dice_of_the_clock(clock):
    breaker = of(
        clock, wait_duration_in_open_state_ms=60_000, wait_interval_in_open_state=randomized(fixed(1_000), 0.5)
    )
    clock.fraction = 0.0
    fail(breaker, 4)
    with pytest.raises(CallNotPermitted) as refused:
        breaker.call(print)
    assert refused.value.retry_after_ms == 501


def test_no_thread_is_started_where_no_policy_asks_for_a_timer(clock):
    alarm = Alarm(clock)
    breaker = CircuitBreaker("pay", SMALL, clock, alarm=alarm)
    fail(breaker, 4)
    assert alarm.next_at() is None


def test_a_timer_ends_open_without_a_call():
    half_open = threading.Event()
    policy = structs.replace(
        SMALL, wait_duration_in_open_state_ms=1, automatic_transition_from_open_to_half_open_enabled=True
    )
    breaker = CircuitBreaker("pay", policy, alarm=Alarm())
    breaker.on_event(lambda event: half_open.set() if event.to == "HALF_OPEN" else None, "STATE_TRANSITION")
    fail(breaker, 4)
    assert half_open.wait(20)
