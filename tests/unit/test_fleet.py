"""What Resilience4j does not say: evidence, sequence numbers, what is not counted, what is published."""

import msgspec
import pytest

from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import BreakerState, CallOutcome, Sighting, State
from app.domain.breakers.fleet import due
from app.domain.breakers.window import WindowType
from app.domain.errors import Invalid, PassedOver
from app.domain.interval import fixed, randomized
from tests.support.fleets import Row

POLICY = Policy(
    sliding_window_size=4,
    minimum_number_of_calls=4,
    wait_duration_in_open_state_ms=1_000,
    permitted_number_of_calls_in_half_open_state=2,
)


def told(*calls: tuple[int, str], policy: Policy = POLICY) -> Row:
    row = Row(policy)
    for at_ms, outcome in calls:
        row.call(outcome, at_ms)
    return row


def opened(policy: Policy = POLICY) -> Row:
    """At 3."""
    return told(*((n, "failure") for n in range(4)), policy=policy)


def test_a_change_carries_its_evidence():
    row = told((10, "success"))
    row.call("failure", 20, caller="orders", instance="pay-3", operation="charge", error="ConnectTimeout")
    row.call("success", 30, duration_ms=60_001)
    row.call("timeout", 40, caller="carts")
    [opening] = row.transitions
    assert (opening.from_, opening.to, opening.cause, opening.at) == (State.CLOSED, State.OPEN, "failure-rate", 40)
    assert (opening.failure_rate, opening.slow_call_rate) == (50.0, 25.0)
    assert (opening.buffered_calls, opening.failed_calls, opening.slow_calls) == (4, 2, 1)
    assert opening.first_failure == Sighting(
        at=20, outcome="failure", caller="orders", instance="pay-3", operation="charge", error="ConnectTimeout"
    )
    assert opening.last_failure == Sighting(at=40, outcome="timeout", caller="carts")


def test_the_published_state_says_until_when_and_how_many_may_try():
    assert opened().states[-1] == BreakerState(
        breaker="pay",
        service="pay",
        scope="service",
        state=State.OPEN,
        since_at=3,
        until_at=1_003,
        permits_half_open=2,
        failure_rate=100.0,
        slow_call_rate=0.0,
        slow_call_duration_ms=60_000,
        config_version=1,
        seq=1,
        at=3,
    )


def test_a_breaker_that_begins_is_published_so_that_clients_know_what_is_slow():
    [state] = told((7, "success")).states
    assert (state.state, state.seq, state.since_at, state.slow_call_duration_ms) == (State.CLOSED, 0, 7, 60_000)


def test_seq_grows_by_one_with_every_change():
    row = opened()
    for at_ms, outcome in ((1_004, "failure"), (1_005, "failure"), (2_006, "success"), (2_007, "success")):
        row.call(outcome, at_ms)
    assert [(t.to, t.cause, t.seq) for t in row.transitions] == [
        ("OPEN", "failure-rate", 1),
        ("HALF_OPEN", "wait", 2),
        ("OPEN", "trial", 3),
        ("HALF_OPEN", "wait", 4),
        ("CLOSED", "trial", 5),
    ]
    assert [state.seq for state in row.states] == [0, 1, 2, 3, 4, 5]


def test_slow_calls_alone_open_it_with_that_cause():
    row = Row(POLICY)
    for n in range(4):
        row.call("success", n, duration_ms=60_001)
    [opening] = row.transitions
    assert (opening.cause, opening.first_failure) == ("slow-call-rate", Sighting())


def test_metrics_only_tells_of_each_rate_once_when_it_is_exceeded_first():
    policy = msgspec.structs.replace(POLICY, initial_state=State.METRICS_ONLY)
    row = told((1, "failure"), (2, "failure"), (3, "success"), policy=policy)
    assert row.transitions == []
    row.call("success", 4, caller="orders")
    [failing] = row.transitions
    assert (failing.from_, failing.to, failing.cause, failing.at) == ("METRICS_ONLY", "METRICS_ONLY", "failure-rate", 4)
    assert (failing.failure_rate, failing.buffered_calls, failing.first_failure.at) == (50.0, 4, 1)
    row.fold(5, {"slow_success": 4})
    row.fold(6, {"success": 4})
    row.fold(7, {"slow_failure": 4})
    assert [(told.cause, told.slow_call_rate, told.buffered_calls) for told in row.transitions[1:]] == [
        ("slow-call-rate", 100.0, 4)
    ]
    assert [told.id for told in row.transitions] == ["pay#0:failure-rate", "pay#0:slow-call-rate"]
    assert len(row.states) == 1
    row.act("metrics-only", 8)
    row.fold(9, {"failure": 4})
    assert row.transitions[-1].id == "pay#1:failure-rate"


def test_a_reset_is_told_beside_the_change_that_it_makes():
    row = opened()
    row.act("reset", 5)
    row.act("reset", 6)
    assert [(told.from_, told.to, told.cause, told.id) for told in row.transitions[1:]] == [
        ("OPEN", "CLOSED", "act", "pay#2"),
        ("CLOSED", "CLOSED", "reset", "pay#2:reset"),
        ("CLOSED", "CLOSED", "reset", "pay#3:reset"),
    ]
    assert [(told.failed_calls, told.last_failure.at) for told in row.transitions[1:]] == [(4, 3), (4, 3), (0, None)]
    assert [(state.state, state.seq) for state in row.states[-2:]] == [("CLOSED", 2), ("CLOSED", 3)]


def test_one_call_may_begin_and_end_the_trial():
    row = opened(msgspec.structs.replace(POLICY, permitted_number_of_calls_in_half_open_state=1))
    row.call("success", 1_004)
    assert [transition.to for transition in row.transitions[1:]] == ["HALF_OPEN", "CLOSED"]
    assert row.kept.breaker.window.buffered == 0


def test_the_first_failure_is_that_of_the_failures_in_the_window():
    policy = msgspec.structs.replace(POLICY, failure_rate_threshold=100.0)
    row = told((1, "failure"), *((n, "success") for n in range(2, 6)), policy=policy)
    assert (row.kept.first_failure, row.kept.last_failure) == (Sighting(), Sighting())
    row.call("failure", 6)
    row.call("failure", 7)
    assert (row.kept.first_failure.at, row.kept.last_failure.at) == (6, 7)


def test_it_stays_open_at_exactly_the_wait():
    for outcome in ("success", "failure", "rejected"):
        row = opened()
        assert row.call(outcome, 1_003) == []
        assert (row.kept.breaker.state, row.kept.breaker.window.buffered) == (State.OPEN, 4)
        row.call(outcome, 1_004)
        assert row.kept.breaker.state is State.HALF_OPEN


def test_a_late_call_does_not_end_the_wait_and_one_that_saw_open_does():
    row = opened()
    row.call("success", 1_004, seen_seq=0)
    assert row.kept.breaker.state is State.OPEN
    row.call("success", 1_004, seen_seq=1)
    assert row.kept.breaker.state is State.HALF_OPEN


def test_a_call_that_saw_open_under_an_older_policy_ends_the_wait_too():
    row = opened()
    row.policy = msgspec.structs.replace(POLICY, slow_call_duration_threshold_ms=500)
    row.call("failure", 4)
    row.call("rejected", 1_004, seen_seq=1)
    assert (row.states[-1].state, row.states[-1].seq) == (State.HALF_OPEN, 3)


def test_rejected_calls_are_counted_and_judge_nothing():
    row = opened()
    assert row.call("rejected", 500) == []
    assert (row.kept.breaker.state, row.kept.breaker.not_permitted, row.kept.totals.not_permitted) == ("OPEN", 1, 1)


def test_ignored_calls_judge_nothing():
    row = opened()
    before = row.kept
    assert row.call("ignored", 5_000, duration_ms=9) == []
    assert row.kept.breaker == before.breaker
    assert (row.kept.totals.ignored, row.kept.totals.ignored_ms) == (1, 9)


def test_totals_outlive_states_and_know_how_long_calls_took():
    row = opened()
    row.call("success", 1_004, duration_ms=20)
    row.call("success", 1_005, duration_ms=30)
    assert row.kept.breaker.state is State.CLOSED
    totals = row.kept.totals
    assert (totals.successful, totals.successful_ms, totals.failed) == (2, 50, 4)


def test_folded_calls_took_what_is_told_of_all_of_a_kind():
    row = Row(POLICY)
    row.fold(
        1, {"success": 3, "slow_failure": 1, "ignored": 2}, took_ms={"success": 45, "slow_failure": 900, "ignored": 7}
    )
    row.fold(2, {"success": 1, "slow_success": 1})
    totals = row.kept.totals
    assert (totals.successful, totals.successful_ms) == (5, 45)
    assert (totals.failed, totals.failed_ms) == (1, 900)
    assert (totals.ignored, totals.ignored_ms) == (2, 7)


def test_an_unknown_outcome_is_passed_over():
    with pytest.raises(PassedOver) as passed:
        Row(POLICY).call("postponed", 0)
    assert passed.value.reason == "unknown-outcome"


def test_an_outcome_names_either_an_outcome_or_counts():
    for body in (b'{"service":"pay"}', b'{"service":"pay","outcome":"success","counts":{}}'):
        with pytest.raises(msgspec.ValidationError, match="expected either `outcome` or `counts`"):
            msgspec.json.decode(body, type=CallOutcome)


def test_what_is_named_as_a_breaker_below_a_service_is_no_service():
    with pytest.raises(Invalid, match=r"\$\.service"):
        Row(POLICY).tell(CallOutcome(service="pay:op:charge", outcome="success"), 0)


def test_a_result_may_open_it_whatever_the_rates():
    row = told((1, "success"))
    row.call("success", 2, opens_until_at=9_000)
    assert (row.transitions[0].cause, row.states[-1].until_at) == ("result", 9_000)


def test_only_the_automatic_transition_needs_a_timer():
    automatic = msgspec.structs.replace(POLICY, automatic_transition_from_open_to_half_open_enabled=True)
    assert due(opened().fleet) is None
    assert due(opened(automatic).fleet) == 1_003


def test_a_timer_that_comes_too_early_or_too_late_does_nothing():
    automatic = msgspec.structs.replace(POLICY, automatic_transition_from_open_to_half_open_enabled=True)
    for row, now_ms in ((opened(automatic), 1_002), (opened(), 5_000)):
        before = row.fleet
        assert row.fire(now_ms) == []
        assert row.fleet == before


def test_a_state_that_waited_for_a_stopped_worker_begins_when_it_is_decided():
    row = opened(msgspec.structs.replace(POLICY, automatic_transition_from_open_to_half_open_enabled=True))
    row.fire(90_000)
    breaker = row.kept.breaker
    assert (row.transitions[-1].at, breaker.since_at, breaker.state) == (90_000, 90_000, State.HALF_OPEN)


def test_a_smaller_window_in_the_settings_keeps_the_newest_calls():
    row = Row(msgspec.structs.replace(POLICY, sliding_window_size=10, minimum_number_of_calls=10))
    for n in range(9):
        row.call("failure" if n < 5 else "success", n)
    row.policy = POLICY
    assert row.call("success", 9) == []
    assert (row.kept.breaker.window.buffered, row.kept.breaker.window.failed) == (4, 0)


def test_another_policy_is_published_at_the_next_call_where_clients_see_it():
    row = told((1, "failure"))
    row.policy = msgspec.structs.replace(POLICY, slow_call_duration_threshold_ms=500, config_version=7)
    [state] = row.call("success", 2)
    assert (state.state, state.seq, state.slow_call_duration_ms, state.config_version) == ("CLOSED", 1, 500, 7)
    assert row.kept.breaker.window.buffered == 2
    assert row.call("success", 3) == []
    row.policy = msgspec.structs.replace(row.policy, failure_rate_threshold=60, config_version=8)
    assert row.call("success", 4) == []


def test_a_randomized_wait_is_as_long_when_it_is_replayed_and_another_the_next_time():
    policy = Policy(minimum_number_of_calls=1, wait_interval_in_open_state=randomized(fixed(1_000_000), 0.5))
    waits = []
    for _ in range(2):
        for calls in ([(0, "failure"), (3_000_000, "failure")], [(0, "failure")]):
            breaker = told(*calls, policy=policy).kept.breaker
            assert breaker.state is State.OPEN
            waits.append(breaker.until_at - breaker.since_at)
    assert waits[:2] == waits[2:]
    assert len(set(waits)) == 2
    assert all(500_000 <= wait_ms <= 1_500_000 for wait_ms in waits)


def test_a_time_window_counts_the_seconds_up_to_the_call():
    policy = Policy(sliding_window_type=WindowType.TIME_BASED, sliding_window_size=10, minimum_number_of_calls=4)
    row = told(*((n * 4_000, "failure") for n in range(9)), policy=policy)
    assert (row.kept.breaker.state, row.kept.breaker.window.buffered) == (State.CLOSED, 3)
    row.call("failure", 32_001)
    assert (row.transitions[0].to, row.transitions[0].buffered_calls) == (State.OPEN, 4)


def test_a_rate_is_shown_as_java_shows_it():
    policy = msgspec.structs.replace(
        POLICY, sliding_window_size=3, minimum_number_of_calls=3, failure_rate_threshold=33
    )
    row = told((1, "success"), (2, "success"), (3, "failure"), policy=policy)
    assert row.transitions[0].failure_rate == 33.333332
