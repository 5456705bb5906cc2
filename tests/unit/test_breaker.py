"""What the tables of Resilience4j do not say: late calls, new settings, draws, clocks that go back."""

import msgspec
import pytest

from app.domain.breakers.breaker import (
    Breaker,
    Event,
    NoSuchChange,
    Outcome,
    Policy,
    State,
    Verdict,
    begun,
    due,
    expire,
    judge,
    metrics,
    move,
    open_until,
    permit,
    record,
    release,
    reset,
)
from app.domain.breakers.window import WindowType
from app.domain.interval import exponential, fixed, randomized

NOW = 1_790_000_000_000
POLICY = Policy(sliding_window_size=4, minimum_number_of_calls=4, permitted_number_of_calls_in_half_open_state=2)
BY_TIME = msgspec.structs.replace(POLICY, sliding_window_type=WindowType.TIME_BASED)
OK, FAILED = Outcome(), Outcome(verdict=Verdict.ERROR, error="Timeout")


def after(*outcomes: Outcome, policy: Policy = POLICY, breaker: Breaker | None = None, now_ms: int = NOW) -> Breaker:
    breaker = breaker or begun(policy, now_ms)
    for outcome in outcomes:
        breaker, _ = record(breaker, outcome, now_ms, policy)
    return breaker


def half_open(policy: Policy = POLICY) -> Breaker:
    return permit(after(*[FAILED] * 4, policy=policy), NOW + 60_001, policy)[0]


def seen(breaker: Breaker, policy: Policy = POLICY, now_ms: int = NOW) -> tuple[int, int, float]:
    found = metrics(breaker, now_ms, policy)
    return found.buffered, found.failed, found.failure_rate


def test_an_outcome_of_a_call_begun_in_another_state_is_late():
    breaker = begun(POLICY, NOW)
    begun_under = breaker.seq
    breaker = after(*[FAILED] * 4, breaker=breaker)
    _, (event,) = record(breaker, Outcome(7, seq=begun_under), NOW + 5, POLICY)
    assert event == Event("SUCCESS", NOW + 5, 7, late=True)
    _, (event,) = record(breaker, Outcome(7), NOW + 5, POLICY)
    assert not event.late


def test_every_state_has_a_number_of_its_own_the_same_one_begun_anew_too():
    breaker = begun(POLICY, NOW)
    numbers = [breaker.seq]
    for to in (State.OPEN, State.OPEN, State.HALF_OPEN, State.FORCED_OPEN, State.CLOSED, State.CLOSED):
        breaker, _ = move(breaker, to, NOW, POLICY)
        numbers.append(breaker.seq)
    assert numbers == [0, 1, 2, 3, 4, 5, 6]


def test_a_change_says_its_cause_and_the_calls_that_brought_it_about():
    _, events = record(after(OK, OK, FAILED), FAILED, NOW, POLICY)
    assert [event.type for event in events] == ["ERROR", "FAILURE_RATE_EXCEEDED", "STATE_TRANSITION"]
    change = events[-1].change
    assert (change.from_, change.to, change.cause) == (State.CLOSED, State.OPEN, "failure-rate")
    assert (change.window.buffered, change.window.failed) == (4, 2)


def test_a_call_is_slow_by_a_part_of_a_millisecond():
    policy = msgspec.structs.replace(POLICY, slow_call_duration_threshold_ms=5)
    breaker = after(Outcome(5), Outcome(5.001), policy=policy)
    assert metrics(breaker, NOW, policy).slow == 1


def test_the_wait_grows_with_each_opening_in_a_row():
    policy = msgspec.structs.replace(POLICY, wait_interval_in_open_state=exponential(1_000, 2, 3_000))
    breaker, waits = begun(policy, NOW), []
    for _ in range(4):
        breaker, _ = move(breaker, State.OPEN, NOW, policy)
        waits.append(breaker.until_at - NOW)
    assert waits == [1_000, 2_000, 3_000, 3_000]


def test_a_randomized_wait_is_drawn_by_the_caller():
    policy = msgspec.structs.replace(POLICY, wait_interval_in_open_state=randomized(fixed(1_000), 0.5))
    for fraction, wait_ms in ((0.0, 500), (0.5, 1_000), (0.999, 1_499)):
        breaker, _ = record(after(*[FAILED] * 3, policy=policy), FAILED, NOW, policy, fraction)
        assert breaker.until_at == NOW + wait_ms


def test_a_wait_said_twice_is_refused():
    with pytest.raises(ValueError, match="either `waitDurationInOpenState` or `waitIntervalInOpenState`"):
        Policy(wait_duration_in_open_state_ms=5, wait_interval_in_open_state=fixed(5))


def test_a_result_opens_it_until_an_instant_and_one_that_has_passed_lets_the_next_call_try():
    for until_at, permitted in ((NOW + 9, False), (NOW - 9, True)):
        breaker, events = record(begun(POLICY, NOW), Outcome(opens_until=until_at), NOW, POLICY)
        assert (breaker.state, breaker.until_at, events[-1].change.cause) == (State.OPEN, until_at, "result")
        assert permit(breaker, NOW + 1, POLICY)[1] == permitted


def test_a_smaller_window_keeps_the_newest_calls_and_a_larger_one_all():
    small, large = (msgspec.structs.replace(POLICY, sliding_window_size=size) for size in (2, 9))
    breaker = after(FAILED, OK, OK)
    assert seen(breaker, small) == (2, 0, 0.0)
    assert seen(after(OK, breaker=breaker, policy=small), small) == (2, 0, 0.0)
    assert seen(after(OK, OK, OK, breaker=breaker, policy=large), large)[:2] == (6, 1)


def test_a_shorter_time_window_keeps_the_newest_seconds():
    breaker = after(FAILED, policy=BY_TIME)
    breaker = after(OK, breaker=breaker, policy=BY_TIME, now_ms=NOW + 2_000)
    shorter = msgspec.structs.replace(BY_TIME, sliding_window_size=2)
    assert seen(breaker, BY_TIME, NOW + 2_000)[:2] == (2, 1)
    assert seen(breaker, shorter, NOW + 2_000)[:2] == (1, 0)


def test_another_type_of_window_begins_empty():
    breaker = after(FAILED, FAILED)
    assert seen(breaker, BY_TIME)[:2] == (0, 0)
    assert seen(after(OK, breaker=breaker, policy=BY_TIME), BY_TIME)[:2] == (1, 0)


def test_new_thresholds_judge_the_calls_that_are_there():
    loose = msgspec.structs.replace(POLICY, failure_rate_threshold=100.0)
    breaker = after(FAILED, FAILED, OK, OK, policy=loose)
    assert after(OK, breaker=breaker, policy=loose).state is State.CLOSED
    assert after(FAILED, breaker=breaker).state is State.OPEN


def test_half_open_goes_on_with_the_number_of_calls_that_it_began_with():
    more = msgspec.structs.replace(POLICY, permitted_number_of_calls_in_half_open_state=9)
    breaker, permitted, _ = permit(half_open(), NOW + 60_001, more)
    assert permitted
    assert permit(breaker, NOW + 60_001, more)[1] is False
    assert after(OK, OK, breaker=breaker, policy=more).state is State.CLOSED


def test_the_metrics_of_a_time_window_pass_with_time():
    breaker = after(*[OK] * 3, FAILED, policy=BY_TIME)
    assert [seen(breaker, BY_TIME, NOW + ms) for ms in (0, 3_999, 4_000)] == [(4, 1, 25.0), (4, 1, 25.0), (0, 0, -1.0)]


def test_a_clock_that_goes_back_adds_to_the_newest_second():
    breaker = after(OK, policy=BY_TIME)
    breaker = after(FAILED, breaker=breaker, policy=BY_TIME, now_ms=NOW - 5_000)
    assert seen(breaker, BY_TIME)[:2] == (2, 1)


def test_a_reset_cancels_the_timer_of_the_state_that_it_leaves():
    policy = msgspec.structs.replace(POLICY, max_wait_duration_in_half_open_state_ms=100)
    breaker = half_open(policy)
    assert due(breaker) == NOW + 60_101
    breaker, events = reset(breaker, NOW + 60_002, policy)
    assert (due(breaker), [event.type for event in events]) == (None, ["STATE_TRANSITION", "RESET"])
    assert expire(breaker, NOW + 60_101, policy) == (breaker, ())


def test_a_timer_that_comes_too_early_does_nothing():
    policy = msgspec.structs.replace(POLICY, automatic_transition_from_open_to_half_open_enabled=True)
    breaker = after(*[FAILED] * 4, policy=policy)
    assert expire(breaker, NOW + 59_999, policy) == (breaker, ())
    assert expire(breaker, NOW + 60_000, policy)[0].state is State.HALF_OPEN


def test_open_after_forced_open_records_what_comes_late():
    breaker, _ = move(begun(POLICY, NOW), State.FORCED_OPEN, NOW, POLICY)
    breaker, _ = move(breaker, State.OPEN, NOW, POLICY)
    assert seen(after(FAILED, breaker=breaker))[:2] == (1, 1)


def test_a_permit_given_back_is_free_again():
    breaker, _, _ = permit(half_open(), NOW + 60_001, POLICY)
    assert (breaker.free, release(breaker).free, release(after(OK)).free) == (0, 1, 0)


def test_a_change_that_there_is_not_is_refused_by_name():
    with pytest.raises(NoSuchChange, match="CLOSED does not become HALF_OPEN"):
        move(begun(POLICY, NOW), State.HALF_OPEN, NOW, POLICY)
    metrics_only, _ = move(begun(POLICY, NOW), State.METRICS_ONLY, NOW, POLICY)
    with pytest.raises(NoSuchChange, match="METRICS_ONLY does not become OPEN"):
        open_until(metrics_only, NOW + 5, NOW, POLICY)


@pytest.mark.parametrize("precedence", [False, True])
@pytest.mark.parametrize(
    ("error", "verdict"),
    [("Refused", Verdict.IGNORED), ("Timeout", Verdict.ERROR), ("Other", Verdict.SUCCESS)],
)
def test_what_is_ignored_is_never_recorded_and_what_is_not_recorded_is_a_success(error, verdict, precedence):
    policy = Policy(
        record_exceptions=("Timeout", "Refused"),
        ignore_exceptions=("Refused",),
        ignore_exceptions_precedence_enabled=precedence,
    )
    assert judge(error, policy, str.__eq__) is verdict


def test_any_exception_is_recorded_where_none_is_listed():
    assert judge("Any", Policy(), str.__eq__) is Verdict.ERROR
