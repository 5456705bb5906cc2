from __future__ import annotations

import json
from typing import NamedTuple

from deploy.demo.story import FACTS, Story


class Committed(NamedTuple):
    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp: int


def fact(seq: int, type_: str, at_ms: int = 5) -> Committed:
    value = json.dumps({"key": "o-1", "seq": seq}).encode()
    return Committed(FACTS, b"order/o-1", value, [("ce_type", f"iopt.saga.{type_}".encode())], at_ms)


def event(type_: str, at_ms: int = 1) -> Committed:
    return Committed("orders", b"o-1", b"{}", [("ce_type", type_.encode())], at_ms)


def story(*records: Committed) -> Story:
    told = Story()
    for record in records:
        told.tell(record)
    return told


def test_an_order_that_was_completed_and_announced_once_is_whole() -> None:
    told = story(
        event("order.created"),
        fact(1, "started"),
        fact(2, "step_sent", 6),
        fact(3, "completed", 9),
        event("order.completed", 9),
    )
    assert told.findings() == []
    assert (told.ordered_at, told.commanded_at, told.ended_at) == ({"o-1": 1}, {"o-1": 6}, {"o-1": 9})
    assert told.endings == {"o-1": "COMPLETED"}


def test_a_fact_that_is_missing_or_came_twice_is_found() -> None:
    assert len(story(fact(1, "started"), fact(3, "step_sent")).findings()) == 1
    assert len(story(fact(1, "started"), fact(1, "started")).findings()) == 1


def test_an_ending_announced_twice_or_never_is_found() -> None:
    whole = (fact(1, "started"), fact(2, "compensated"))
    assert len(story(*whole).findings()) == 1
    assert len(story(*whole, event("order.failed"), event("order.failed")).findings()) == 1
    assert story(*whole, event("order.failed")).findings() == []
