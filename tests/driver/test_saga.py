"""The saga row, told as stories: an order placed, what its services answer, how it goes on."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from app.domain.sagas.definition import Definition, Named
from app.domain.sagas.messages import Error
from app.engine.driver import EPOCH_MS
from app.wire.topics import (
    commands,
)
from tables.saga import sagas
from tests.support.orders import CHARGE, ORDER, RESERVE, SHIP


def test_an_order_goes_through(shop):
    shop.place()
    shop.done('{"hold":7.0}')
    shop.done()
    shop.done()
    assert shop.story == ["started", "done RESERVE", "done CHARGE", "done SHIP", "completed"]
    assert shop.emitted == [("customer-of-o-1", "order.completed", {"orderId": "o-1", "saga_id": "order/o-1"})]
    assert [fact.seq for _, fact in shop.facts] == list(range(1, len(shop.facts) + 1))
    assert shop.state() == "COMPLETED"


def test_data_keeps_its_digits_and_its_unknown_fields_all_the_way(shop):
    shop.place(total="49.90")
    shop.done('{"hold":7.00}')
    [reserve], [charge] = shop.commands("inventory-service"), shop.commands("payment-service")
    assert bytes(reserve.data) == b'{"orderId":"o-1","total":49.90,"note":"ring twice"}'
    assert bytes(charge.data) == b'{"amount":49.90,"hold":7.00,"orderId":"o-1"}'


def test_a_command_says_all_that_its_participant_must_know(shop):
    shop.place()
    [typed] = [typed for _, typed in shop.driver.outputs(commands("inventory-service.commands"))]
    assert typed.type == "reserve"
    assert msgspec.json.decode(msgspec.json.encode(typed.body)) == {
        "command_id": "order/o-1:RESERVE:do:r1:1",
        "to": "inventory-service",
        "saga": "order",
        "saga_id": "order/o-1",
        "saga_version": 1,
        "step": "RESERVE",
        "action": "do",
        "run": 1,
        "attempt": 1,
        "idempotency_key": "order/o-1:RESERVE:do:r1",
        "deadline_at": EPOCH_MS + 30_000,
        "reply_to": "iopt.saga-replies",
        "reply_token": "",
        "data": {"orderId": "o-1", "total": 49.9, "note": "ring twice"},
    }


def test_a_failed_charge_is_tried_again_after_growing_pauses(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.answer("failed", error=Error("down"))
    shop.driver.advance("999ms")
    assert len(shop.commands("payment-service")) == 1
    shop.driver.advance("1ms")
    assert len(shop.commands("payment-service")) == 2
    shop.answer("failed", error=Error("down"))
    shop.driver.advance("1999ms")
    assert len(shop.commands("payment-service")) == 2
    shop.driver.advance("1ms")
    first, second, third = shop.commands("payment-service")
    assert third.command_id == "order/o-1:CHARGE:do:r1:3"
    assert first.idempotency_key == second.idempotency_key == third.idempotency_key
    assert bytes(first.data) == bytes(third.data)
    assert third.deadline_at == EPOCH_MS + 3_000 + 10_000
    shop.done()
    assert shop.state() == "RUNNING"
    assert shop.newest.step == "SHIP"


def test_the_participant_may_say_when_to_come_again(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.answer("failed", error=Error("busy", retry_after_ms=7_000))
    shop.driver.advance("6999ms")
    assert len(shop.commands("payment-service")) == 1
    shop.driver.advance("1ms")
    assert len(shop.commands("payment-service")) == 2


def test_done_to_an_older_attempt_settles_the_step_while_it_is_tried_again(shop):
    shop.place()
    shop.done('{"hold":7}')
    first = shop.newest
    shop.driver.advance("11s")
    assert shop.newest.attempt == 2
    shop.done("{}", to=first)
    assert shop.newest.step == "SHIP"
    shop.answer("failed", to=shop.commands("payment-service")[1])
    assert shop.newest.step == "SHIP"
    assert shop.passed_over("duplicate") == 1


def test_a_failure_of_an_older_attempt_says_nothing(shop):
    shop.place()
    shop.done('{"hold":7}')
    first = shop.newest
    shop.driver.advance("11s")
    shop.answer("failed", to=first)
    assert shop.passed_over("late") == 1
    assert (shop.newest.attempt, shop.state()) == (2, "RUNNING")


def asking() -> Definition:
    charge = replace(CHARGE, query=Named("find-charge"))
    return replace(ORDER, steps=(RESERVE, charge, SHIP))


def test_a_step_in_doubt_is_asked_about_where_it_can_be(shop):
    shop.open(asking())
    shop.place()
    shop.done('{"hold":7}')
    charge = shop.newest
    shop.answer("unknown")
    query = shop.newest
    assert (query.action, query.command_id) == ("query", "order/o-1:CHARGE:query:r1:1")
    assert (query.queries, bytes(query.data)) == (charge.idempotency_key, bytes(charge.data))
    shop.done('{"paymentId":"p-9"}')
    assert shop.newest.step == "SHIP"
    assert ("payment-service", "find-charge", "success") not in shop.calls


def test_what_was_never_seen_is_sent_again(shop):
    shop.open(asking())
    shop.place()
    shop.done('{"hold":7}')
    for attempt in (1, 2, 3):
        assert (shop.newest.action, shop.newest.attempt) == ("do", attempt)
        shop.driver.advance("10s")
        assert (shop.newest.action, shop.newest.attempt) == ("query", attempt)
        shop.answer("absent")
    query = shop.commands("payment-service")[-1]
    assert (shop.newest.step, shop.newest.action) == ("RESERVE", "undo")
    shop.answer("unknown", to=query)
    assert shop.passed_over("late") == 1


def test_a_query_without_an_answer_leaves_the_step_in_doubt(shop):
    shop.open(asking())
    shop.place()
    shop.done('{"hold":7}')
    shop.answer("unknown")
    shop.driver.advance("10s")
    shop.driver.advance("1s")
    shop.answer("unknown")
    shop.driver.advance("2s")
    shop.answer("failed")
    assert len(shop.commands("payment-service")) == 1 + 3 + 1
    assert (shop.newest.step, shop.newest.action) == ("CHARGE", "undo")


def test_the_deadline_ends_the_forward_way_and_not_the_compensation(shop):
    shop.open(replace(ORDER, deadline_ms=35_000))
    shop.place()
    shop.driver.advance("29s")
    shop.done('{"hold":7}')
    assert shop.newest.deadline_at == EPOCH_MS + 35_000
    shop.driver.advance("6s")
    assert (shop.newest.step, shop.newest.action) == ("CHARGE", "undo")
    shop.driver.advance("9s")
    shop.done("null")
    shop.done("null")
    assert shop.state() == "COMPENSATED"


def test_no_step_begins_after_the_deadline(shop):
    shop.open(replace(ORDER, deadline_ms=35_000, steps=(replace(RESERVE, timeout_ms=35_000), CHARGE)))
    shop.place()
    shop.driver.now_ms += 36_000  # the worker was down: the reply is read before the timer
    shop.done('{"hold":7}')
    assert shop.commands("payment-service") == []
    assert shop.facts[-2][1].error.code == "iopt.deadline"


def test_a_step_deadline_bounds_its_attempts_and_pauses(shop):
    shop.open(replace(ORDER, steps=(RESERVE, replace(CHARGE, deadline_ms=12_000), SHIP)))
    shop.place()
    shop.done('{"hold":7}')
    shop.driver.advance("11s")
    assert (shop.newest.attempt, shop.newest.deadline_at) == (2, EPOCH_MS + 12_000)
    shop.driver.advance("1s")
    assert (shop.newest.step, shop.newest.action) == ("CHARGE", "undo")


def test_a_mapping_that_fails_refuses_the_step(shop):
    shop.place()
    shop.done("{}")
    assert shop.commands("payment-service") == []
    assert shop.story[2:] == ["refused CHARGE", "compensating"]
    assert [fact.error.code for name, fact in shop.facts if name == "step_refused"] == ["iopt.mapping"]
    assert ("payment-service", "charge", "success") not in shop.calls


def test_a_settled_saga_forgets_the_business_data(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.done()
    shop.done()
    saga = shop.driver.table(sagas)["order/o-1"]
    assert saga.data == b"null"
    assert {step.result for step in saga.steps} == {b"null"}


def test_data_is_kept_where_the_definition_says_so(shop):
    shop.open(replace(ORDER, keep_data=True))
    shop.place()
    shop.done('{"hold":7}')
    shop.done()
    shop.done()
    assert shop.driver.table(sagas)["order/o-1"].steps[0].result == b'{"hold":7}'


def test_the_policy_of_the_participant_counts_where_the_step_has_none(shop):
    shop.open(replace(ORDER, steps=(RESERVE, replace(CHARGE, retry=None), SHIP)))
    shop.place()
    shop.done('{"hold":7}')
    shop.answer("failed")
    shop.driver.advance("1s")
    shop.answer("failed")
    assert shop.newest.action == "undo"


def test_a_failure_told_twice_is_one_failure(shop):
    shop.place()
    shop.done('{"hold":7}')
    charge = shop.newest
    shop.answer("failed")
    shop.driver.advance("500ms")
    shop.answer("failed", to=charge)
    assert (shop.passed_over("duplicate"), shop.story.count("failed CHARGE")) == (1, 1)
    shop.driver.advance("500ms")
    assert shop.newest.attempt == 2


def test_while_a_step_is_asked_about_a_failure_of_its_do_says_nothing(shop):
    shop.open(asking())
    shop.place()
    shop.done('{"hold":7}')
    charge = shop.newest
    shop.driver.advance("10s")
    shop.answer("failed", to=charge)
    assert (shop.newest.action, shop.passed_over("late")) == ("query", 1)
    shop.done("{}", to=charge)
    assert shop.newest.step == "SHIP"
