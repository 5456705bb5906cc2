"""The check at the end: do stock, money and shipments of each order agree with how its saga ended?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from deploy.demo.ledger import Entry
from deploy.demo.orders import Order

COMPLETED, COMPENSATED, IN_DEBT = "COMPLETED", "COMPENSATED", "IN_DEBT"
Balance = dict[str, Decimal]  # what is in each account; an account with nothing in it is not named


@dataclass(frozen=True, slots=True)
class Finding:
    about: str
    what: str


@dataclass(frozen=True, slots=True)
class Audit:
    """`owed`: by order in debt, what its compensation could not give back. `totals`: over all orders."""

    findings: tuple[Finding, ...]
    owed: Mapping[str, Balance]
    totals: Balance


def audit(orders: Iterable[Order], endings: Mapping[str, str], entries: Sequence[Entry]) -> Audit:
    """`endings` are states by order id; any other word is where an order stands that has not ended."""
    balances = balance_by_order(entries)
    known = {order.order_id: order for order in orders}
    findings = [
        *(finding for order in known.values() for finding in _wrong(order, endings, balances)),
        *(Finding(stranger, "moved without an order") for stranger in balances if stranger not in known),
        *(Finding(order_id, f"{command} took effect {n} times") for (order_id, command), n in _repeated(entries)),
    ]
    owed = {order_id: balances.get(order_id, {}) for order_id, state in endings.items() if state == IN_DEBT}
    return Audit(tuple(findings), owed, _totals(balances.values()))


def balance_by_order(entries: Iterable[Entry]) -> dict[str, Balance]:
    sums: dict[str, Balance] = defaultdict(lambda: defaultdict(Decimal))
    for entry in entries:
        sums[entry.order_id][entry.target] += entry.amount
        sums[entry.order_id][entry.source] -= entry.amount
    return {order_id: {name: much for name, much in accounts.items() if much} for order_id, accounts in sums.items()}


def _totals(balances: Iterable[Balance]) -> Balance:
    totals: Balance = defaultdict(Decimal)
    for balance in balances:
        for name, much in balance.items():
            totals[name] += much
    return totals


def _wrong(order: Order, endings: Mapping[str, str], balances: Mapping[str, Balance]) -> list[Finding]:
    state = endings.get(order.order_id)
    held = balances.get(order.order_id, {})
    if state == IN_DEBT:
        return []
    if state not in (COMPLETED, COMPENSATED):
        return [Finding(order.order_id, f"has not ended, stands at {state}")]
    due = _completed(order) if state == COMPLETED else {}
    return [] if held == due else [Finding(order.order_id, f"{state}, expected {_told(due)}, found {_told(held)}")]


def _completed(order: Order) -> Balance:
    qty, one = Decimal(order.qty), Decimal(1)
    moved = (("shelf", "sold", qty), ("customer", "shop", order.amount), ("courier", "booked", one))
    return {name: much for source, target, amount in moved for name, much in ((source, -amount), (target, amount))}


def _repeated(entries: Iterable[Entry]) -> list[tuple[tuple[str, str], int]]:
    counted = Counter((entry.order_id, entry.command) for entry in entries)
    return [(which, times) for which, times in counted.items() if times > 1]


def _told(balance: Balance) -> str:
    return ", ".join(f"{name} {much}" for name, much in sorted(balance.items())) or "nothing"
