"""What became of the orders, as a reader of committed records sees it. Instants are Kafka's own timestamps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiokafka.structs import ConsumerRecord

from deploy.demo import orders
from deploy.demo.books import COMPENSATED, COMPLETED, IN_DEBT, Finding
from deploy.demo.command import parse

FACTS, TRANSITIONS = "iopt.saga-events", "iopt.breaker-transitions"
TOPICS = (orders.TOPIC, FACTS, TRANSITIONS)
ENDS = {"iopt.saga.completed": COMPLETED, "iopt.saga.compensated": COMPENSATED, "iopt.saga.in_debt": IN_DEBT}
ANNOUNCED = {COMPLETED: "order.completed", COMPENSATED: "order.failed"}


@dataclass
class Story:
    """Each map is by order id."""

    ordered_at: dict[str, int] = field(default_factory=dict)
    commanded_at: dict[str, int] = field(default_factory=dict)
    ended_at: dict[str, int] = field(default_factory=dict)
    endings: dict[str, str] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)
    transitions: list[dict[str, Any]] = field(default_factory=list)
    facts: int = 0
    newest_at: int = 0
    torn: list[Finding] = field(default_factory=list)
    _announced: Counter[tuple[str, str]] = field(default_factory=Counter)
    _seq: dict[str, int] = field(default_factory=dict)

    def tell(self, record: ConsumerRecord) -> None:
        match record.topic:
            case orders.TOPIC:
                self._order(record)
            case _ if record.topic == FACTS:
                self._fact(_type(record), parse(record.value), record.timestamp)
            case _:
                self.transitions.append(parse(record.value))

    def findings(self) -> list[Finding]:
        """Facts that are missing or there twice, endings not announced as often as they happened."""
        due = Counter((order_id, ANNOUNCED[state]) for order_id, state in self.endings.items() if state in ANNOUNCED)
        differing = {which for which in due.keys() | self._announced.keys() if due[which] != self._announced[which]}
        return [
            *self.torn,
            *(Finding(which[0], f"{which[1]} was sent {self._announced[which]} times, expected {due[which]}")
              for which in sorted(differing)),
        ]  # fmt: skip

    def _order(self, record: ConsumerRecord) -> None:
        order_id, type_ = record.key.decode(), _type(record)
        self.ordered_at.setdefault(order_id, record.timestamp)
        if type_ in ANNOUNCED.values():
            self._announced[order_id, type_] += 1

    def _fact(self, type_: str, fact: dict[str, Any], at_ms: int) -> None:
        self.facts += 1
        self.newest_at = max(self.newest_at, at_ms)
        order_id, seq = fact["key"], fact["seq"]
        before = self._seq.get(order_id, 0)
        if seq != before + 1:
            self.torn.append(Finding(order_id, f"fact {seq} ({type_}) after fact {before}"))
        self._seq[order_id] = seq
        self.newest[order_id] = type_
        if type_ == "iopt.saga.step_sent":
            self.commanded_at.setdefault(order_id, at_ms)
        if type_ in ENDS:
            self.endings[order_id] = ENDS[type_]
            self.ended_at[order_id] = at_ms


def _type(record: ConsumerRecord) -> str:
    told: dict[str, bytes] = dict(record.headers)
    return told.get("ce_type", b"").decode()
