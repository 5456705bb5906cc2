from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

from deploy.demo.command import parse
from deploy.demo.orders import Event, events, orders
from deploy.demo.whims import Whims
from tests.unit.test_demo_participant import command


def form(event: Event) -> str:
    told = dict(event.headers)
    if "ce_type" in told:
        return "binary"
    return "structured" if told["content-type"].startswith(b"application/cloudevents") else "plain"


def test_one_seed_is_one_story() -> None:
    assert list(events(7, 300)) == list(events(7, 300))
    assert list(events(7, 300)) != list(events(8, 300))


def test_more_orders_begin_with_the_same_ones() -> None:
    assert orders(7, 500)[:100] == orders(7, 100)


def test_every_form_of_event_and_every_odd_one_comes() -> None:
    made = list(events(7, 300))
    assert [event.order for event in made if event.order] == orders(7, 300)
    assert {form(event) for event in made} == {"binary", "structured", "plain"}
    assert [event.key for event in made if event.order is None] == [b"o-truncated", b"o-bad-key", b"o-viewed"]


def test_totals_are_numbers_some_with_more_digits_than_a_float_keeps() -> None:
    totals = [(order, parse(order.json())["total"]) for order in orders(7, 300)]
    assert all(isinstance(total, Decimal) and str(total) == order.total for order, total in totals)
    assert any(Decimal(json.loads(order.json())["total"]) != total and len(order.total) > 12 for order, total in totals)


def test_whims_are_the_same_however_often_they_are_asked() -> None:
    first, again = Whims(7, 100), Whims(7, 100)
    assert first.refusal(command()) == again.refusal(command())
    assert [first.copies_ms(command(attempt=n)) for n in range(99)] == [
        again.copies_ms(command(attempt=n)) for n in range(99)
    ]


def test_about_one_card_in_twenty_is_declined() -> None:
    whims = Whims(7, 10_000)
    codes = Counter(whims.refusal(command(idempotency_key=str(n))) for n in range(10_000))
    assert 400 < codes["card-declined"] < 600
