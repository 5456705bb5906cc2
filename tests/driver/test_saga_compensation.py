"""The saga row, told as stories: what is undone, what comes late, what stays owed."""

from __future__ import annotations

from app.domain.sagas.messages import Error
from tables.saga import sagas


def fail_to_the_last(shop):
    for _ in range(3):
        shop.answer("failed", error=Error("down"))
        shop.driver.advance("5s")


def test_a_refused_payment_gives_the_goods_back(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.answer("refused", error=Error("card-declined", "no"))
    release = shop.newest
    assert (release.command_id, release.deadline_at) == ("order/o-1:RESERVE:undo:r1:1", None)
    assert (release.undoes, bytes(release.result)) == ("order/o-1:RESERVE:do:r1", b'{"hold":7}')
    assert bytes(release.data) == bytes(shop.commands("inventory-service")[0].data)
    shop.done("null")
    assert shop.story == [
        *["started", "done RESERVE", "refused CHARGE", "compensating"],
        *["undone RESERVE", "compensated"],
    ]
    error = {"code": "card-declined", "message": "no"}
    told = {"orderId": "o-1", "saga_id": "order/o-1", "error": error}
    assert shop.emitted == [("customer-of-o-1", "order.failed", told)]


def test_what_was_done_is_undone_newest_first(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.done()
    shop.answer("refused")
    shop.done()
    shop.done()
    assert shop.story[-4:] == ["compensating", "undone CHARGE", "undone RESERVE", "compensated"]


def test_a_charge_that_fails_to_the_last_is_not_done_and_not_undone(shop):
    shop.place()
    shop.done('{"hold":7}')
    fail_to_the_last(shop)
    shop.done()
    assert shop.story[-3:] == ["compensating", "undone RESERVE", "compensated"]
    assert len(shop.commands("payment-service")) == 3
    assert shop.emitted[-1][2]["error"]["code"] == "down"


def test_silence_is_doubt_and_doubt_is_undone(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.driver.advance("34s")  # three times 10 s, and the pauses between them
    undo = shop.newest
    assert (undo.step, undo.action, bytes(undo.result)) == ("CHARGE", "undo", b"null")
    assert undo.undoes == "order/o-1:CHARGE:do:r1"
    shop.done("null")
    shop.done()
    assert shop.story[2:] == [
        *["in_doubt CHARGE"] * 3,
        *["compensating", "undone CHARGE", "undone RESERVE", "compensated"],
    ]
    assert shop.emitted[-1][2]["error"]["code"] == "iopt.timeout"


def test_failing_after_silence_is_still_doubt(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.driver.advance("11s")
    for _ in range(2):
        shop.answer("failed")
        shop.driver.advance("4s")
    assert (shop.newest.step, shop.newest.action) == ("CHARGE", "undo")


def test_done_that_comes_after_its_step_was_given_up_is_undone_even_after_the_end(shop):
    shop.place()
    reserve = shop.newest
    for _ in range(2):
        shop.answer("failed")
        shop.driver.advance("1s")
    assert shop.state() == "COMPENSATED"
    shop.done('{"hold":7}', to=reserve)
    undo = shop.newest
    assert (undo.action, bytes(undo.result), bytes(undo.data)) == ("undo", b'{"hold":7}', bytes(reserve.data))
    shop.done("null")
    assert shop.story[-4:] == ["compensating", "compensated", "done RESERVE", "undone RESERVE"]
    assert len(shop.emitted) == 1


def test_a_failed_charge_that_may_have_been_made_after_all_is_undone_even_after_the_end(shop):
    """Its participant read the command again: `failed` is not final there."""
    shop.place()
    shop.done('{"hold":7}')
    fail_to_the_last(shop)
    shop.done()
    assert shop.state() == "COMPENSATED"
    charge = shop.commands("payment-service")[-1]
    shop.answer("unknown", to=charge)
    assert (shop.newest.step, shop.newest.action, bytes(shop.newest.result)) == ("CHARGE", "undo", b"null")
    shop.answer("unknown", to=charge)
    shop.done("null")
    assert shop.story[-3:] == ["compensated", "in_doubt CHARGE", "undone CHARGE"]
    assert (shop.state(), shop.passed_over("late")) == ("COMPENSATED", 1)


def test_a_late_done_is_undone_after_the_undo_that_is_awaited(shop):
    shop.place()
    shop.done('{"hold":7}')
    fail_to_the_last(shop)
    shop.done(to=shop.commands("payment-service")[-1])
    assert (shop.newest.step, shop.newest.action) == ("RESERVE", "undo")
    shop.done("null")
    assert (shop.newest.step, shop.newest.action) == ("CHARGE", "undo")
    shop.done("null")
    assert shop.story[-4:] == ["done CHARGE", "undone RESERVE", "undone CHARGE", "compensated"]


def test_done_that_comes_while_its_undo_is_awaited_is_recorded_once(shop):
    shop.place()
    first = shop.newest
    shop.driver.advance("61s")
    assert shop.newest.action == "undo"
    shop.done('{"hold":7}', to=first)
    shop.done('{"hold":7}', to=first)
    shop.done("null")
    assert shop.story[-3:] == ["done RESERVE", "undone RESERVE", "compensated"]
    assert shop.passed_over("duplicate") == 1


def test_what_cannot_be_undone_is_debt_and_the_rest_is_undone(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.done()
    shop.answer("refused")
    assert (shop.newest.step, shop.newest.action) == ("CHARGE", "undo")
    shop.driver.advance("11m")  # ten times 10 s, and 511 s of pauses
    assert [each.attempt for each in shop.commands("payment-service") if each.action == "undo"] == [*range(1, 11)]
    shop.done()
    assert shop.story[-2:] == ["undone RESERVE", "in_debt"]
    shop.driver.advance("30d")
    assert shop.state() == "IN_DEBT"
    assert shop.emitted == []


def test_a_debt_is_settled_by_an_undo_that_was_done_after_all(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.answer("refused")
    release = shop.newest
    shop.driver.advance("30m")
    assert shop.state() == "IN_DEBT"
    shop.done("null", to=release)
    assert (shop.state(), shop.story[-2:]) == ("COMPENSATED", ["undone RESERVE", "compensated"])


def test_a_refused_undo_is_debt_at_once(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.answer("refused")
    shop.answer("refused")
    assert shop.state() == "IN_DEBT"


def test_data_too_large_counts_as_done_and_the_step_is_undone_with_the_rest(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.done(f'"{"x" * (256 * 1024)}"')
    assert (shop.newest.step, shop.newest.action, bytes(shop.newest.result)) == ("CHARGE", "undo", b"null")
    shop.done()
    shop.done()
    assert shop.emitted[-1][2]["error"]["code"] == "iopt.too-large"


def test_done_that_comes_after_it_was_undone_is_recorded_once_and_its_data_forgotten(shop):
    shop.place()
    first = shop.newest
    shop.driver.advance("61s")
    shop.done("null")
    assert shop.state() == "COMPENSATED"
    shop.done('{"hold":7}', to=first)
    shop.done('{"hold":7}', to=first)
    assert shop.story[-2:] == ["compensated", "done RESERVE"]
    assert shop.passed_over("duplicate") == 1
    assert shop.driver.table(sagas)["order/o-1"].steps[0].result == b"null"


def test_a_debt_of_two_steps_is_told_once_and_settled_with_the_last(shop):
    shop.place()
    shop.done('{"hold":7}')
    shop.done()
    shop.answer("refused")
    refund = shop.newest
    shop.answer("refused")
    release = shop.newest
    shop.answer("refused")
    shop.done("null", to=refund)
    assert (shop.state(), shop.story.count("in_debt")) == ("IN_DEBT", 1)
    shop.done("null", to=release)
    assert shop.state() == "COMPENSATED"
