"""The saga row: which records start a saga, which replies count, and what is told to others."""

from __future__ import annotations

import pytest
from msgspec import Raw
from msgspec.structs import replace

from app.domain.sagas.messages import Act, Signal, Start
from app.wire.topics import SAGA_EVENTS, SAGA_INBOX, SAGA_REPLIES, commands, emitted
from tests.support.shop import ORDERS


def test_the_same_order_again_starts_nothing(shop):
    shop.place()
    shop.place()
    assert len(shop.commands("inventory-service")) == 1
    assert shop.passed_over("duplicate") == 1


def test_an_ended_order_is_remembered_for_a_week_then_its_late_events_are_stale(shop):
    shop.place()
    shop.answer("refused")
    shop.driver.advance("6d")
    shop.place()
    assert shop.passed_over("duplicate") == 1
    shop.driver.advance("1d")
    assert shop.state() is None
    _, start = shop.driver.outputs(SAGA_INBOX)[0]
    shop.driver.send(SAGA_INBOX, start.saga_id, start)
    assert [letter.reason for letter in shop.driver.dead(SAGA_INBOX)] == ["stale-start"]
    shop.place()
    assert shop.state() == "RUNNING"


def again(run: int) -> Start:
    data = Raw(b'{"orderId":"o-1","total":1}')
    return Start(saga_id="order/o-1", saga="order", saga_version=1, key="o-1", run=run, data=data, at=0)


def test_a_new_run_begins_only_after_the_end_and_shares_no_key_with_the_one_before(shop):
    shop.place()
    first = shop.newest
    shop.driver.send(SAGA_INBOX, "order/o-1", again(2))
    assert [letter.reason for letter in shop.driver.dead(SAGA_INBOX)] == ["refused"]
    shop.answer("refused")
    shop.driver.send(SAGA_INBOX, "order/o-1", again(2))
    assert shop.newest.command_id == "order/o-1:RESERVE:do:r2:1"
    assert shop.newest.idempotency_key != first.idempotency_key
    shop.answer("refused", to=first)
    assert (shop.state(), shop.passed_over("late")) == ("RUNNING", 1)
    assert [fact.seq for _, fact in shop.facts] == list(range(1, len(shop.facts) + 1))


def test_an_event_too_large_is_a_dead_letter(shop):
    shop.place(total="1" * (256 * 1024))
    assert [letter.reason for letter in shop.driver.dead(ORDERS)] == ["too-large"]


def test_what_others_are_told_is_about_the_saga_whatever_its_key(shop):
    """Contract 1.4: the subject of a record of ours is the saga's id; the key of an event is its start's."""
    shop.place()
    for data in ('{"hold":7}', "null", "null"):
        shop.done(data)
    event = shop.driver.records(emitted("orders"))[-1]
    sent = [*shop.driver.records(commands("inventory-service.commands")), *shop.driver.records(SAGA_EVENTS), event]
    assert {dict(record.headers)["ce_subject"] for record in sent} == {b"order/o-1"}
    assert (event.key, dict(event.headers)["ce_id"]) == (b"customer-of-o-1", b"order/o-1:completed:r1")


def test_outcomes_of_calls_are_reported_for_the_breaker(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.answer("failed")
    shop.driver.advance("11s")
    shop.answer("refused")
    shop.answer("failed")
    shop.driver.advance("1s")
    shop.done("null")
    assert shop.calls == [
        ("inventory-service", "reserve", "success"),
        ("payment-service", "charge", "failure"),
        ("payment-service", "charge", "timeout"),
        ("payment-service", "charge", "success"),
        ("inventory-service", "release", "failure"),
        ("inventory-service", "release", "success"),
    ]


def test_replies_that_say_nothing_new_are_counted_by_what_they_are(shop):
    shop.place()
    reserve = shop.newest
    shop.done('{"hold":7}')
    shop.done('{"hold":7}', to=reserve)
    shop.answer("accepted")
    shop.answer("done", reply_token="ours-is-empty")
    ghost = replace(reserve, command_id="order/o-1:CHARGE:do:r1:9")
    shop.answer("failed", to=ghost)
    shop.answer("failed", to=replace(reserve, command_id="order/o-9:RESERVE:do:r1:1"))
    shop.answer("failed", to=replace(reserve, saga_id="order/o-9", command_id="order/o-9:RESERVE:do:r1:1"))
    counted = {why: count for (_, fate, why), count in shop.driver.fates.items() if fate == "passed-over"}
    assert counted == {"duplicate": 1, "accepted": 1, "misdirected": 2, "unknown-command": 2}
    assert (shop.newest.step, shop.state()) == ("CHARGE", "RUNNING")


def test_an_effect_that_nobody_asked_for_is_told(shop):
    shop.place()
    shop.done('{"hold":7}', to=replace(shop.newest, command_id="order/o-1:GHOST:do:r1:1"))
    name, fact = shop.facts[-1]
    assert (name, fact.command_id, fact.outcome) == ("unexpected_effect", "order/o-1:GHOST:do:r1:1", "done")
    assert shop.newest.step == "RESERVE"


def test_acts_and_signals_are_refused_for_now(shop):
    shop.place()
    act = Act(act="pause", act_id="a-1", saga_id="order/o-1", reason="audit", actor="ann")
    shop.driver.send(SAGA_INBOX, "order/o-1", act, id="a-1")
    shop.driver.send(SAGA_REPLIES, "order/o-1", Signal(signal="paid", saga_id="order/o-1"))
    [letter] = shop.driver.dead(SAGA_INBOX)
    assert (letter.reason, letter.message) == ("refused", "pause: acts are not supported yet")
    [letter] = shop.driver.dead(SAGA_REPLIES)
    assert (letter.reason, letter.message) == ("refused", "paid: signals are not supported yet")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"total":1}', "no-key"),
        (b'{"orderId":null}', "no-key"),
        (b'{"orderId":1.5}', "bad-key"),
        (b'{"orderId":""}', "bad-key"),
        (b"[]", "no-key"),
    ],
)
def test_an_event_that_names_no_usable_key_is_a_dead_letter(shop, data, reason):
    shop.driver.send(ORDERS, "k", data, [("ce_type", b"order.created")])
    assert [letter.reason for letter in shop.driver.dead(ORDERS)] == [reason]
