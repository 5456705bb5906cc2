"""Breakers by hand."""

import pytest

from app.domain.breakers.breaker import Policy
from app.domain.breakers.scopes import Scopes
from app.wire.topics import AUDIT, BREAKER_ACTS, BREAKER_TRANSITIONS
from tests.support.breakers import Breakers

POLICY = Policy(minimum_number_of_calls=2)


@pytest.fixture(params=[False, True], ids=["batch", "careful"])
def row(request) -> Breakers:
    named = Scopes(("service", "operation"), named=("pay:op:charge",))
    made = Breakers({"pay": POLICY, "pay:op:charge": POLICY}, {"pay": named}, careful=request.param)
    made.calls("pay", "failure")
    return made


@pytest.mark.parametrize(
    ("act", "state"),
    [("force-open", "FORCED_OPEN"), ("disable", "DISABLED"), ("metrics-only", "METRICS_ONLY")],
)
def test_an_act_moves_it_and_is_told_everywhere(row, act, state):
    row.act("pay", act)
    assert row.moves == [("pay", "CLOSED", state, "act", 0)]
    assert (row.published["pay"].state, row.published["pay"].seq) == (state, 1)
    [audit] = row.audit
    assert (audit.act_id, audit.actor, audit.what, audit.target) == ("act-1", "ops", f"breaker.{act}", "pay")
    assert (audit.reason, audit.result, audit.why) == ("maintenance", "applied", None)
    [record] = row.records(AUDIT)
    assert dict(record.headers)["ce_id"] == b"act-1"


def test_what_is_forced_open_stays_so_until_it_is_closed_by_hand(row):
    row.act("pay", "force-open")
    row.calls("pay", *["success"] * 5)
    row.advance("10m")
    row.calls("pay", "rejected")
    assert row.states("pay") == {"pay": "FORCED_OPEN"}
    row.act("pay", "close", act_id="act-2")
    assert row.states("pay") == {"pay": "CLOSED"}


def test_a_reset_empties_the_window_and_says_so_though_it_stays_closed(row):
    row.act("pay", "reset")
    told = [("pay", "CLOSED", "CLOSED", "reset", 0)]
    assert row.moves == told
    assert (row.published["pay"].state, row.published["pay"].seq) == ("CLOSED", 1)
    row.calls("pay", "failure")
    assert row.moves == told
    assert [audit.result for audit in row.audit] == ["applied"]


def test_a_change_and_a_reset_of_one_act_are_told_apart(row):
    row.act("pay", "force-open")
    row.act("pay", "reset", act_id="act-2")
    ids = [dict(record.headers)["ce_id"] for record in row.records(BREAKER_TRANSITIONS)]
    assert ids == [b"pay#1", b"pay#2", b"pay#2:reset"]


def test_the_same_act_again_does_nothing(row):
    row.act("pay", "force-open")
    row.act("pay", "close", act_id="act-2")
    row.act("pay", "force-open")
    assert row.states("pay") == {"pay": "CLOSED"}
    assert len(row.audit) == 2
    assert row.fates[BREAKER_ACTS.name, "passed-over", "repeated-act"] == 1


def test_a_breaker_that_the_settings_name_can_be_moved_before_its_first_call(row):
    row.act("pay", "force-open", "pay:op:charge")
    assert row.states("pay") == {"pay": "CLOSED", "pay:op:charge": "FORCED_OPEN"}
    assert row.published["pay:op:charge"].state == "FORCED_OPEN"


@pytest.mark.parametrize(
    ("service", "breaker", "why"),
    [
        ("pay", "pay:op:refund", "pay has no breaker pay:op:refund, and the settings name none"),
        ("pay", "stock", "stock is no breaker of pay"),
        ("stock", "stock", "stock has no breaker stock, and the settings name none"),
    ],
)
def test_an_act_on_what_is_no_breaker_is_refused_and_audited(row, service, breaker, why):
    before = row.kept("pay")
    row.act(service, "force-open", breaker)
    [audit] = row.audit
    assert (audit.target, audit.result, audit.why) == (breaker, "refused", why)
    assert row.moves == []
    assert row.kept("pay") == before


def test_an_act_has_a_new_breaker_go_where_there_is_no_room(row):
    row.scopes["pay"] = Scopes(("service", "operation"), 1, ("pay", "pay:op:charge"))
    row.act("pay", "disable")
    row.act("pay", "disable", "pay:op:charge", act_id="act-2")
    assert [audit.why for audit in row.audit] == [None, "pay has 1 breakers, and none of them can go"]
