"""What every way to the fleet promises, the one in memory as the real one: a subclass has a fixture `ways`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import pytest

from app.client.kafka import NoRoom, Record, Unreached
from tests.support.kafka import wait_for

OUTCOMES = "iopt.call-outcomes"
HEADERS = (("ce_type", b"iopt.call.outcome"), ("ce_id", b"c#1"))


class Way(Protocol):
    def send(self, topic: str, key: bytes, value: bytes, headers: Any) -> None: ...

    def poll(self, within_ms: int) -> list[Record]: ...

    def close(self, within_ms: int) -> None: ...


class Ways(NamedTuple):
    """`open` makes one more way; `cut` ends all that there are; `sent` is what arrived, by key, value and headers."""

    open: Callable[[], Way]
    tell: Callable[[str, bytes | None], None]
    sent: Callable[[], list[tuple[str | None, bytes | None, dict[str, bytes]]]]
    cut: Callable[[], None]


def read(way: Way, count: int) -> list[Record]:
    found: list[Record] = []

    def enough() -> bool:
        found.extend(way.poll(200))
        return len(found) >= count

    wait_for(enough, f"{count} states", 60)
    return found


def send_many(way: Way, count: int) -> None:
    for _ in range(count):
        way.send(OUTCOMES, b"payment-service", b"1", HEADERS)


class TransportSuite:
    def test_what_is_sent_arrives_in_order_with_key_and_headers(self, ways: Ways) -> None:
        way = ways.open()
        for value in (b"1", b"2", b"3"):
            way.send(OUTCOMES, b"payment-service", value, HEADERS)
        way.close(30_000)
        assert ways.sent() == [("payment-service", value, dict(HEADERS)) for value in (b"1", b"2", b"3")]

    def test_states_are_read_from_the_beginning_each_once_tombstones_too(self, ways: Ways) -> None:
        ways.tell("pay", b"1")
        ways.tell("pay", None)
        way = ways.open()
        assert read(way, 2) == [Record(b"pay", b"1"), Record(b"pay", None)]
        assert way.poll(50) == []
        ways.tell("pay", b"3")
        assert read(way, 1) == [Record(b"pay", b"3")]
        assert read(ways.open(), 3)[-1] == Record(b"pay", b"3")

    def test_all_states_are_read_before_there_are_none(self, ways: Ways) -> None:
        for n in range(50):
            ways.tell(f"service-{n}", b"1")
        way = ways.open()
        found = []
        while new := way.poll(200):
            found += new
        assert len(found) == 50

    def test_out_of_reach_it_says_so_and_takes_what_there_is_room_for(self, ways: Ways) -> None:
        way = ways.open()
        way.poll(50)
        ways.cut()

        def unreached() -> bool:
            try:
                way.poll(50)
            except Unreached:
                return True
            return False

        wait_for(unreached, "it to be out of reach", 60)
        with pytest.raises(NoRoom):
            send_many(way, 10_100)
