"""The breaker row: outcomes in, transitions and states out."""

import pytest

from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import CallOutcome
from app.wire.topics import BREAKER_STATES, CALL_OUTCOMES
from tests.support.breakers import Breakers

POLICIES = {
    "payment-service": Policy(
        sliding_window_size=20,
        minimum_number_of_calls=10,
        wait_duration_in_open_state_ms=30_000,
        permitted_number_of_calls_in_half_open_state=3,
    ),
    "courier-service": Policy(
        minimum_number_of_calls=1,
        wait_duration_in_open_state_ms=5_000,
        automatic_transition_from_open_to_half_open_enabled=True,
        max_wait_duration_in_half_open_state_ms=7_000,
        permitted_number_of_calls_in_half_open_state=2,
    ),
}


@pytest.fixture(params=[False, True], ids=["batch", "careful"])
def row(request) -> Breakers:
    return Breakers(POLICIES, careful=request.param)


def test_a_failing_service_is_shut_off_tried_and_let_in_again(row):
    row.calls("payment-service", *["success"] * 5, *["failure"] * 5)
    row.advance("31s")
    row.calls("payment-service", "success", "success", "failure")
    assert row.moves == [
        ("payment-service", "CLOSED", "OPEN", "failure-rate", 0),
        ("payment-service", "OPEN", "HALF_OPEN", "wait", 31_000),
        ("payment-service", "HALF_OPEN", "CLOSED", "trial", 31_000),
    ]
    key, state = row.outputs(BREAKER_STATES)[-1]
    assert (key, state.state, state.seq, state.until_at) == ("payment-service", "CLOSED", 3, None)


def test_a_service_without_a_policy_of_its_own_has_resilience4js_defaults(row):
    row.calls("inventory-service", *["timeout"] * 99)
    assert row.moves == []
    row.calls("inventory-service", "timeout")
    assert row.moves == [("inventory-service", "CLOSED", "OPEN", "failure-rate", 0)]


def test_with_the_automatic_transition_time_alone_moves_it(row):
    row.calls("courier-service", "failure")
    row.advance("20s")
    assert row.moves == [
        ("courier-service", "CLOSED", "OPEN", "failure-rate", 0),
        ("courier-service", "OPEN", "HALF_OPEN", "wait", 5_000),
        ("courier-service", "HALF_OPEN", "OPEN", "wait", 12_000),
        ("courier-service", "OPEN", "HALF_OPEN", "wait", 17_000),
    ]


def test_each_service_has_a_breaker_of_its_own(row):
    row.calls("payment-service", *["failure"] * 10)
    row.calls("inventory-service", "success")
    assert row.states("payment-service") == {"payment-service": "OPEN"}
    assert row.states("inventory-service") == {"inventory-service": "CLOSED"}


def test_a_second_of_calls_in_one_record_counts_as_each_alone(row):
    row.folded("payment-service", {"success": 5, "failure": 3, "timeout": 2, "rejected": 4})
    [move] = row.moves
    assert move[:4] == ("payment-service", "CLOSED", "OPEN", "failure-rate")
    breaker = row.kept("payment-service")["payment-service"].breaker
    assert (breaker.window.failed, breaker.window.buffered, breaker.not_permitted) == (5, 10, 4)


def test_folded_calls_from_before_a_change_count_only_where_the_change_was_seen(row):
    row.calls("courier-service", "failure")
    at = row.now_ms
    for seen_seq in (None, 0):
        row.folded("courier-service", {"failure": 2}, from_at=at - 900, to_at=at, seen_seq=seen_seq)
    assert row.fates[CALL_OUTCOMES.name, "passed-over", "crosses-change"] == 2
    row.folded("courier-service", {"failure": 2}, from_at=at - 900, to_at=at, seen_seq=1)
    row.folded("courier-service", {"failure": 2}, from_at=at, to_at=at + 900)
    assert row.kept("courier-service")["courier-service"].totals.failed == 5


def test_every_record_has_a_fate(row):
    row.calls("payment-service", "success", "rejected", "postponed")
    row.folded("payment-service", {"success": 1_001})
    row.folded("payment-service", {"success": 1}, from_at=0, to_at=1_001)
    row.send(CALL_OUTCOMES, "payment-service", b'{"service":"payment-service"}')
    row.send(CALL_OUTCOMES, "a:op:b", CallOutcome(service="a:op:b", outcome="success"))
    letters = row.dead(CALL_OUTCOMES)
    assert [letter.reason for letter in letters] == ["invalid", "invalid", "undecodable", "invalid"]
    fates = {(fate, reason): count for (_, fate, reason), count in row.fates.items()}
    assert sum(fates.values()) == 7
    assert fates["passed-over", "unknown-outcome"] == 1
    assert row.kept("payment-service")["payment-service"].breaker.not_permitted == 1
