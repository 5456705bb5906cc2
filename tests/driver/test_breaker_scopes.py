"""Breakers of operations, instances and callers beside that of their service."""

import pytest

from app.domain.breakers.breaker import Policy
from app.domain.breakers.scopes import Scopes
from app.wire.topics import BREAKER_STATES, CALL_OUTCOMES
from tests.support.breakers import Breakers

ALL = Scopes(("service", "operation", "instance", "caller"), most=8)
CHARGE = "payment-service:op:charge"


@pytest.fixture(params=[False, True], ids=["batch", "careful"])
def row(request) -> Breakers:
    policies = {CHARGE: Policy(minimum_number_of_calls=2), "payment-service": Policy(minimum_number_of_calls=3)}
    return Breakers(policies, {"payment-service": ALL}, careful=request.param)


def test_a_call_is_one_of_its_service_operation_instance_and_caller(row):
    row.calls("payment-service", "failure", operation="charge", instance="pay-3", caller="order-service")
    row.calls("payment-service", "failure", operation="charge")
    assert row.states("payment-service") == {
        "payment-service": "CLOSED",
        CHARGE: "OPEN",
        "payment-service:instance:pay-3": "CLOSED",
        "payment-service:from:order-service": "CLOSED",
    }
    assert {(state.scope, state.service) for state in row.published.values()} == {
        (scope, "payment-service") for scope in ALL.kept
    }


def test_each_has_a_policy_of_its_own(row):
    row.calls("payment-service", "failure", "failure", operation="charge")
    row.calls("payment-service", "failure", operation="refund")
    assert [(breaker, to) for breaker, _, to, *_ in row.moves] == [(CHARGE, "OPEN"), ("payment-service", "OPEN")]


def test_a_call_that_was_not_permitted_is_one_of_the_breaker_that_is_shut(row):
    row.calls("payment-service", "failure", "failure", operation="charge")
    row.calls("payment-service", "rejected", operation="charge")
    not_permitted = {name: kept.totals.not_permitted for name, kept in row.kept("payment-service").items()}
    assert not_permitted == {"payment-service": 0, CHARGE: 1}


def test_where_there_are_too_many_the_one_idle_for_longest_goes(row):
    row.scopes["payment-service"] = Scopes(("service", "instance"), most=3)
    for instance in ("pay-1", "pay-2", "pay-1", "pay-3"):
        row.advance(1)
        row.calls("payment-service", "success", instance=instance)
    left = {"payment-service", "payment-service:instance:pay-1", "payment-service:instance:pay-3"}
    assert row.kept("payment-service").keys() == row.published.keys() == left


def test_one_that_comes_back_goes_on_above_the_numbers_that_it_had(row):
    row.scopes["payment-service"] = Scopes(("instance",), most=1)
    for instance in ("pay-1", "pay-2", "pay-1"):
        row.calls("payment-service", "success", instance=instance)
    seqs = [row.seq for _, row in decoded(row)]
    assert seqs == [0, 1, 2]


def decoded(row):
    records = [(record.key, record) for record in row.records(BREAKER_STATES) if record.value is not None]
    return [(key, BREAKER_STATES.codec.decode(record.value, record.headers)) for key, record in records]


def test_what_is_shut_stays_and_a_new_one_finds_no_room(row):
    row.scopes["payment-service"] = Scopes(("instance",), most=1)
    row.policies["payment-service:instance:pay-1"] = Policy(minimum_number_of_calls=1)
    row.calls("payment-service", "failure", instance="pay-1")
    row.calls("payment-service", "failure", instance="pay-2")
    assert row.states("payment-service") == {"payment-service:instance:pay-1": "OPEN"}
    assert row.fates[CALL_OUTCOMES.name, "passed-over", "too-many-breakers"] == 1


def test_a_call_for_which_a_breaker_has_no_room_counts_at_the_others(row):
    row.scopes["payment-service"] = Scopes(("service", "instance"), most=1)
    row.calls("payment-service", "failure", "failure", instance="pay-1")
    assert row.kept("payment-service")["payment-service"].totals.failed == 2
    assert row.kept("payment-service").keys() == {"payment-service"}


def test_there_are_no_more_than_one_record_can_hold(row):
    row.scopes["payment-service"] = Scopes(("instance",), most=1_000)
    for n in range(7):
        row.policies[f"payment-service:instance:pay-{n}"] = Policy(sliding_window_size=100_000)
        row.advance(1)
        row.calls("payment-service", "success", instance=f"pay-{n}")
    assert row.kept("payment-service").keys() == {f"payment-service:instance:pay-{n}" for n in range(2, 7)}


def test_a_call_of_no_scope_is_passed_over(row):
    row.scopes["payment-service"] = Scopes(("operation",))
    row.calls("payment-service", "failure")
    assert row.fates[CALL_OUTCOMES.name, "passed-over", "no-breaker"] == 1


def test_breakers_of_a_scope_that_is_no_longer_kept_go(row):
    row.calls("payment-service", "failure", "failure", operation="charge")
    row.scopes["payment-service"] = Scopes()
    row.calls("payment-service", "success", operation="charge")
    assert row.kept("payment-service").keys() == row.published.keys() == {"payment-service"}
