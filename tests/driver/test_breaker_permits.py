"""Who may try a service in HALF_OPEN."""

import pytest
from msgspec.structs import replace

from app.domain.breakers.breaker import Policy
from app.domain.breakers.scopes import Scopes
from tests.support.breakers import Breakers

POLICY = Policy(
    minimum_number_of_calls=3,
    sliding_window_size=3,
    wait_duration_in_open_state_ms=30_000,
    permitted_number_of_calls_in_half_open_state=3,
)


@pytest.fixture(params=[False, True], ids=["batch", "careful"])
def row(request) -> Breakers:
    """OPEN, and its wait is over."""
    made = Breakers({"pay": POLICY, "stock": POLICY}, careful=request.param)
    made.calls("pay", *["failure"] * 3, client="a-1")
    made.advance("31s")
    return made


def test_the_first_call_not_permitted_after_the_wait_begins_half_open(row):
    row.calls("pay", "rejected", client="a-1", seen_seq=1)
    state = row.published["pay"]
    assert (state.state, state.seq, state.permits) == ("HALF_OPEN", 2, {"a-1": 3})
    assert state.permits_until_at == row.now_ms + 10_000


def test_permits_go_evenly_to_those_that_were_rejected_the_newest_first():
    opened = Breakers({"pay": POLICY})
    opened.calls("pay", *["failure"] * 3, client="silent")
    for client in ("b-1", "b-2"):
        opened.advance("2s")
        opened.calls("pay", "rejected", client=client)
    opened.advance("30s")
    opened.calls("pay", "rejected", client="b-1")
    assert opened.published["pay"].permits == {"b-1": 2, "b-2": 1}


def test_trial_calls_that_are_answered_close_it(row):
    row.calls("pay", "rejected", client="a-1", seen_seq=1)
    row.calls("pay", *["success"] * 3, client="a-1", seen_seq=2)
    assert [(to, cause) for _, _, to, cause, _ in row.moves] == [
        ("OPEN", "failure-rate"),
        ("HALF_OPEN", "wait"),
        ("CLOSED", "trial"),
    ]
    assert (row.published["pay"].permits, row.published["pay"].permits_until_at) == ({}, None)


def test_what_is_not_answered_goes_to_those_that_asked_when_no_clock_permits_it_any_more(row):
    row.calls("pay", "rejected", client="a-1")
    row.calls("pay", "success", client="a-1", seen_seq=2)
    row.advance("5s")
    row.calls("pay", "rejected", client="b-1")
    assert row.published["pay"].seq == 2
    row.advance("6999ms")
    assert row.published["pay"].seq == 2
    row.advance("1ms")
    state = row.published["pay"]
    assert (state.state, state.seq, state.permits) == ("HALF_OPEN", 3, {"b-1": 2})
    assert len(row.moves) == 2


def test_where_nobody_asked_it_waits_for_who_asks_next(row):
    row.calls("pay", "rejected", client="a-1")
    row.advance("1h")
    assert row.published["pay"].seq == 2
    row.calls("pay", "rejected", client="b-1")
    assert (row.published["pay"].seq, row.published["pay"].permits) == (3, {"b-1": 3})


def test_an_ignored_trial_call_leaves_its_permit_with_the_client(row):
    row.calls("pay", "rejected", client="a-1")
    row.calls("pay", "ignored", client="a-1", seen_seq=2)
    row.calls("pay", "rejected", client="b-1")
    assert row.published["pay"].seq == 2


def test_outcomes_without_a_client_count_as_late_ones_do(row):
    row.calls("pay", "success", "success", "success")
    assert row.published["pay"].state == "CLOSED"


def test_permits_of_an_earlier_half_open_are_waited_for(row):
    row.policies["pay"] = Policy(
        minimum_number_of_calls=1, wait_duration_in_open_state_ms=1_000, permitted_number_of_calls_in_half_open_state=3
    )
    row.calls("pay", "rejected", client="a-1")
    row.calls("pay", "failure", client="a-1", seen_seq=2)
    row.advance("2s")
    row.calls("pay", "rejected", client="b-1")
    assert (row.published["pay"].state, row.published["pay"].permits) == ("HALF_OPEN", {})
    row.advance("10s")
    assert row.published["pay"].permits == {"b-1": 3}


def test_a_call_from_before_answers_no_permit(row):
    row.policies["pay"] = Policy(
        minimum_number_of_calls=1, wait_duration_in_open_state_ms=1_000, permitted_number_of_calls_in_half_open_state=1
    )
    row.calls("pay", "rejected", client="a-1")
    row.calls("pay", "failure", client="a-1", seen_seq=1)
    row.advance("2s")
    row.calls("pay", "rejected", client="b-1")
    assert (row.published["pay"].state, row.published["pay"].permits) == ("HALF_OPEN", {})


def test_permits_end_with_the_longest_half_open():
    row = Breakers({"pay": replace(POLICY, max_wait_duration_in_half_open_state_ms=5_000)})
    row.calls("pay", *["failure"] * 3, client="a-1")
    row.advance("31s")
    row.calls("pay", "rejected", client="a-1")
    state = row.published["pay"]
    assert state.permits_until_at == state.until_at == row.now_ms + 5_000


def test_another_policy_is_not_told_while_permits_are_out(row):
    row.calls("pay", "rejected", client="a-1")
    row.policies["pay"] = Policy(slow_call_duration_threshold_ms=500)
    row.calls("pay", "success", client="a-1", seen_seq=2)
    assert row.published["pay"].seq == 2


def test_a_breaker_of_a_caller_is_tried_by_its_clients_only():
    name = "pay:from:orders"
    row = Breakers({name: POLICY}, {"pay": Scopes(("caller",))})
    row.calls("pay", *["failure"] * 3, client="o-1", caller="orders")
    row.calls("pay", "success", client="c-1", caller="carts")
    row.advance("31s")
    row.calls("pay", "rejected", client="o-1", caller="orders")
    assert row.published[name].permits == {"o-1": 3}


def test_at_most_64_clients_are_remembered(row):
    for n in range(100):
        row.calls("stock", "success", client=f"c-{n}")
    assert list(row.fleet("stock").clients) == [f"c-{n}" for n in range(36, 100)]
