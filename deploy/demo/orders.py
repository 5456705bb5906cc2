"""The orders of the demo, made from a seed: the same seed, the same bytes.

Most come as CloudEvents in binary mode, some in structured mode, some as plain JSON that names its
type in a field. Among them are events that no saga can be made of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from random import Random

from deploy.demo.command import Headers

TOPIC = "orders"
TYPE = "order.created"
SKUS = tuple(f"sku-{n:03d}" for n in range(1, 41))
PLAIN, STRUCTURED = 0.10, 0.15  # upper ends
LONG = 0.02
EVIL_AT = (0.3, 0.6, 0.9)  # where in the run the odd events come


@dataclass(frozen=True, slots=True)
class Order:
    order_id: str
    sku: str
    qty: int
    total: str  # a JSON number, digit by digit
    customer: str

    @property
    def amount(self) -> Decimal:
        return Decimal(self.total)

    def json(self, **more: str) -> str:
        told = {"orderId": self.order_id, "sku": self.sku, "qty": self.qty, "customer": self.customer, **more}
        return f'{json.dumps(told)[:-1]}, "total": {self.total}}}'


@dataclass(frozen=True, slots=True)
class Event:
    key: bytes
    value: bytes
    headers: Headers
    order: Order | None  # None: no saga comes of it


def orders(seed: int, count: int) -> list[Order]:
    dice = Random(f"orders/{seed}")
    return [_order(dice, number) for number in range(1, count + 1)]


def events(seed: int, count: int) -> Iterator[Event]:
    """One event an order, in their order, and the odd ones between."""
    dice = Random(f"events/{seed}")
    odd = dict(zip((int(count * share) for share in EVIL_AT), (_truncated, _bad_key, _unnamed), strict=True))
    for number, order in enumerate(orders(seed, count)):
        if number in odd:
            yield odd[number]()
        yield _event(order, dice.random())


def _order(dice: Random, number: int) -> Order:
    qty = dice.randint(1, 5)
    cents = dice.randint(100, 99_999) * qty
    total = f"{cents // 100}.{cents % 100:02d}"
    if dice.random() < LONG:
        total += "0000000000001"  # more digits than a float keeps
    return Order(f"o-{number:06d}", dice.choice(SKUS), qty, total, f"customer-{dice.randint(1, 500):03d}")


def _event(order: Order, form: float) -> Event:
    key = order.order_id.encode()
    if form < PLAIN:
        return Event(key, order.json(eventType=TYPE).encode(), [("content-type", b"application/json")], order)
    if form < STRUCTURED:
        return Event(key, _structured(order), [("content-type", b"application/cloudevents+json")], order)
    return Event(key, order.json().encode(), _headers(TYPE, f"{order.order_id}/created"), order)


def _structured(order: Order) -> bytes:
    about = {"specversion": "1.0", "id": f"{order.order_id}/created", "type": TYPE, "source": "/demo/shop"}
    return f'{json.dumps(about)[:-1]}, "data": {order.json()}}}'.encode()


def _headers(type_: str, id_: str) -> Headers:
    told = {"ce_specversion": "1.0", "ce_id": id_, "ce_type": type_, "ce_source": "/demo/shop"}
    trace = blake2b(id_.encode(), digest_size=24).hexdigest()
    told |= {"content-type": "application/json", "traceparent": f"00-{trace[:32]}-{trace[32:]}-01"}
    return [(name, text.encode()) for name, text in told.items()]


def _truncated() -> Event:
    return Event(b"o-truncated", b'{"orderId": "o-truncated", "qty": ', _headers(TYPE, "truncated"), None)


def _bad_key() -> Event:
    return Event(b"o-bad-key", b'{"orderId": {"no": "key"}, "qty": 1}', _headers(TYPE, "bad-key"), None)


def _unnamed() -> Event:
    return Event(b"o-viewed", b'{"orderId": "o-viewed"}', _headers("order.viewed", "viewed"), None)
