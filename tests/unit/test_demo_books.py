from __future__ import annotations

from decimal import Decimal

from deploy.demo.books import COMPENSATED, COMPLETED, IN_DEBT, audit
from deploy.demo.ledger import Entry
from deploy.demo.orders import Order

ORDER = Order("o-000001", "sku-001", 2, "49.90", "customer-001")


def entry(command: str, source: str, target: str, amount: str, order: Order = ORDER) -> Entry:
    return Entry(f"order/{order.order_id}:{command}", command, order.order_id, source, target, Decimal(amount))


RESERVED = entry("validate-inventory", "shelf", "reserved", "2")
CHARGED = entry("process-payment", "customer", "shop", "49.90")
SOLD = entry("update-inventory", "reserved", "sold", "2")
BOOKED = entry("initiate-fulfillment", "courier", "booked", "1")
RELEASED = entry("release-inventory", "reserved", "shelf", "2")
REFUNDED = entry("refund-payment", "shop", "customer", "49.90")
WHOLE = [RESERVED, CHARGED, SOLD, BOOKED]


def found(state: str, *entries: Entry) -> list[str]:
    return [finding.what for finding in audit([ORDER], {ORDER.order_id: state}, entries).findings]


def test_a_completed_order_is_charged_taken_and_booked() -> None:
    assert found(COMPLETED, *WHOLE) == []


def test_a_compensated_order_leaves_nothing_behind() -> None:
    assert found(COMPENSATED, RESERVED, CHARGED, REFUNDED, RELEASED) == []


def test_a_completed_order_without_its_shipment_is_found() -> None:
    (what,) = found(COMPLETED, RESERVED, CHARGED, SOLD)
    assert what.startswith("COMPLETED, expected booked 1, courier -1,")


def test_money_kept_after_compensation_is_found() -> None:
    assert found(COMPENSATED, RESERVED, CHARGED, RELEASED) == [
        "COMPENSATED, expected nothing, found customer -49.90, shop 49.90"
    ]


def test_an_amount_off_in_the_last_digit_is_found() -> None:
    off = entry("process-payment", "customer", "shop", "49.900000000000001")
    assert len(found(COMPLETED, RESERVED, off, SOLD, BOOKED)) == 1


def test_an_effect_that_came_twice_is_found_even_where_it_was_taken_back() -> None:
    assert found(COMPENSATED, CHARGED, CHARGED, REFUNDED, REFUNDED) == [
        "process-payment took effect 2 times",
        "refund-payment took effect 2 times",
    ]


def test_an_order_that_has_not_ended_is_found() -> None:
    assert found("iopt.saga.step_sent", RESERVED) == ["has not ended, stands at iopt.saga.step_sent"]


def test_an_entry_for_no_order_is_found() -> None:
    stranger = Order("o-999999", "sku-001", 1, "1.00", "customer-002")
    strange = entry("process-payment", "customer", "shop", "1.00", stranger)
    assert [f.about for f in audit([], {}, [strange]).findings] == ["o-999999"]


def test_what_an_order_in_debt_owes_is_listed() -> None:
    told = audit([ORDER], {ORDER.order_id: IN_DEBT}, [CHARGED])
    assert told.findings == ()
    assert told.owed == {"o-000001": {"customer": Decimal("-49.90"), "shop": Decimal("49.90")}}
