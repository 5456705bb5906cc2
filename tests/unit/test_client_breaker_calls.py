import asyncio
import threading

import pytest
from msgspec import structs

from app.client.breaker import CircuitBreaker
from app.client.errors import CallNotPermitted, TimeLimitExceeded
from app.client.part import straight
from app.domain.breakers.breaker import Policy, State
from app.domain.breakers.window import WindowType
from tests.support.failures import BadRequest, Failure, NetworkError, NotFound, TimedOut
from tests.support.small_breaker import SMALL, fail, of, raised
from tests.support.virtual_clock import MS, VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


class Heard:
    """A listener that remembers."""

    asleep = False

    def __init__(self):
        self.calls = []

    def ended(self, breaker, call, _seen_seq):
        self.calls.append((breaker, call.kind, call.about))

    def succeeded(self, breaker, notes, _wall_ms, _seen_seq):
        self.calls += [(breaker, "success", about) for _, _, about in notes]


def plain():
    raise NetworkError


async def later():
    plain()


def in_a_block(breaker):
    with breaker:
        plain()


async def in_an_async_block(breaker):
    async with breaker:
        plain()


@pytest.mark.parametrize(
    "called",
    [
        lambda breaker: breaker.call(plain),
        lambda breaker: asyncio.run(breaker.acall(later)),
        lambda breaker: breaker(plain)(),
        lambda breaker: asyncio.run(breaker(later)()),
        in_a_block,
        lambda breaker: asyncio.run(in_an_async_block(breaker)),
    ],
    ids=["call", "acall", "decorated", "async decorated", "with", "async with"],
)
def test_it_guards_every_form_of_a_call(clock, called):
    breaker = of(clock)
    for _ in range(4):
        with pytest.raises(NetworkError):
            called(breaker)
    with pytest.raises(CallNotPermitted):
        called(breaker)
    assert breaker.metrics().failed == 4


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({}, [NetworkError, TimedOut, BadRequest, NotFound, KeyError]),
        ({"record_exceptions": (NetworkError,)}, [NetworkError, TimedOut]),
        ({"record_exceptions": ("NetworkError",)}, [NetworkError, TimedOut]),
        ({"record_exceptions": ("tests.support.failures.NotFound", "LookupError")}, [NotFound, KeyError]),
        ({"ignore_exceptions": (BadRequest,)}, [NetworkError, TimedOut, KeyError]),
        (
            {"ignore_exception": lambda error: isinstance(error, KeyError)},
            [NetworkError, TimedOut, BadRequest, NotFound],
        ),
        ({"record_failure": lambda error: isinstance(error, KeyError)}, [KeyError]),
        (
            {"record_exceptions": (TimedOut,), "record_failure": lambda error: isinstance(error, KeyError)},
            [TimedOut, KeyError],
        ),
        ({"record_exceptions": (Failure,), "ignore_exceptions": ("NotFound",)}, [NetworkError, TimedOut, BadRequest]),
    ],
)
def test_what_counts_as_a_failure_is_listed_or_said_by_a_predicate(clock, changes, counted):
    breaker = of(clock, sliding_window_size=9, minimum_number_of_calls=9, **changes)
    failing = []
    for error in (NetworkError, TimedOut, BadRequest, NotFound, KeyError):
        before = breaker.metrics().failed
        fail(breaker, 1, error)
        if breaker.metrics().failed > before:
            failing.append(error)
    assert failing == counted


def test_a_policy_as_settings_have_it_lists_names(clock):
    breaker = CircuitBreaker("pay", Policy(ignore_exceptions=("BadRequest",)), clock)
    fail(breaker, 1, NotFound)
    fail(breaker, 1, NetworkError)
    assert (breaker.metrics().buffered, breaker.counts()["IGNORED_ERROR"]) == (1, 1)


def test_a_result_can_be_a_failure(clock):
    for changes in ({"record_result": lambda result: result is None}, {"record_results": (None, "bad")}):
        breaker = of(clock, **changes)
        assert [breaker.call(lambda: None), breaker.call(lambda: 5)] == [None, 5]
        assert (breaker.metrics().failed, breaker.metrics().buffered) == (1, 2)


def test_a_cancelled_call_has_no_outcome_and_its_permit_is_free_again(clock):
    breaker = of(clock)
    fail(breaker, 4)
    clock.advance(1_001 * MS)

    async def cancelled():
        task = asyncio.ensure_future(breaker.acall(asyncio.Event().wait))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for _ in range(5):
        asyncio.run(cancelled())
    assert (breaker.state, breaker.metrics().buffered) == (State.HALF_OPEN, 0)
    assert breaker.call(lambda: 7) == 7


def test_successes_that_are_only_noted_are_counted_in_their_own_seconds(clock):
    breaker = of(clock, sliding_window_type=WindowType.TIME_BASED, sliding_window_size=3)
    for _ in range(5):
        breaker.call(clock.advance, 1_000 * MS)
    assert breaker.metrics().buffered == 3
    assert breaker.counts()["SUCCESS"] == 5


def test_a_success_that_shows_the_rate_of_failures_opens_it_at_once(clock):
    breaker = of(clock)
    fail(breaker, 2)
    breaker.call(int)
    breaker.call(int)
    assert breaker.state is State.OPEN


def test_a_success_shows_the_rate_of_what_is_left_when_older_successes_leave_the_window(clock):
    breaker = of(clock, sliding_window_type=WindowType.TIME_BASED, sliding_window_size=2, minimum_number_of_calls=2)
    for _ in range(3):
        breaker.call(int)
    clock.advance(1_000 * MS)
    fail(breaker, 1)
    breaker.call(int)
    assert breaker._steps.notes is not None
    clock.advance(1_000 * MS)
    breaker.metrics()
    assert breaker.state is State.CLOSED
    fail(breaker, 1)
    assert breaker.state is State.OPEN


def test_and_does_so_when_nobody_looks_in_between(clock):
    breaker = of(clock, sliding_window_type=WindowType.TIME_BASED, sliding_window_size=2, minimum_number_of_calls=2)
    for _ in range(3):
        breaker.call(int)
    clock.advance(1_000 * MS)
    fail(breaker, 1)
    clock.advance(1_000 * MS)
    breaker.call(int)
    assert breaker.state is State.OPEN


def test_a_slow_success_is_never_only_noted(clock):
    breaker = of(clock, slow_call_duration_threshold_ms=10, slow_call_rate_threshold=50.0)
    for ms in (10, 11, 10, 11):
        breaker.call(clock.advance, ms * MS)
    assert breaker.state is State.OPEN


def test_many_threads_lose_no_outcome_and_count_none_twice():
    breaker = CircuitBreaker(
        "pay", structs.replace(SMALL, sliding_window_size=100_000, minimum_number_of_calls=100_000)
    )
    heard = breaker.listener = Heard()

    def work():
        for n in range(3_000):
            if n % 50:
                breaker.call(int)
            else:
                fail(breaker, 1)
            if n % 700 == 0:
                breaker.metrics()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    metrics = breaker.metrics()
    assert (metrics.buffered, metrics.failed) == (12_000, 240)
    assert (breaker.counts()["SUCCESS"], breaker.counts()["ERROR"], len(heard.calls)) == (11_760, 240, 12_000)


def test_the_listener_hears_every_call_in_the_words_of_the_contract(clock):
    breaker = of(clock, ignore_exceptions=(BadRequest,), sliding_window_size=9, minimum_number_of_calls=9)
    heard = breaker.listener = Heard()
    charge, plain = breaker.about("charge", straight), breaker.call
    charge(int, (), {})
    plain(int)
    for error in (NetworkError(), BadRequest(), TimeLimitExceeded("pay"), TimeoutError()):
        with pytest.raises(type(error)):
            plain(raised, error)
    breaker.move("FORCED_OPEN")
    with pytest.raises(CallNotPermitted):
        charge(int, (), {})
    said = [("success", "charge"), ("success", None)]
    said += [(kind, None) for kind in ("failure", "ignored", "timeout", "timeout")]
    assert heard.calls == [("pay", *call) for call in (*said, ("rejected", "charge"))]


def test_subscribers_of_other_events_cost_a_success_nothing(clock):
    breaker = of(clock)
    heard = []
    end = breaker.on_event(heard.append, "STATE_TRANSITION")
    assert breaker._steps.notes is not None
    end_all = breaker.on_event(heard.append)
    assert breaker._steps.notes is None
    breaker.call(int)
    end_all()
    assert breaker._steps.notes is not None
    fail(breaker, 3)
    end()
    assert [(event.type, event.to) for event in heard] == [("SUCCESS", None), ("STATE_TRANSITION", "OPEN")]
