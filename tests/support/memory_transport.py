"""A topic of outcomes and a compacted topic of states in memory, and a way to both that can be cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from app.client.kafka import NoRoom, Record, Unreached


class Sent(NamedTuple):
    topic: str
    key: bytes
    value: bytes
    headers: dict[str, bytes]

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.value)


class Topics:
    """That all transports of a test share."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.states: list[Record] = []

    def tell(self, key: str, value: bytes | None) -> None:
        self.states.append(Record(key.encode(), value))


class MemoryTransport:
    """Keeps the promises of KafkaTransport (tests/support/transport_suite.py) without waiting for anything."""

    def __init__(self, topics: Topics, room: int = 10_000) -> None:
        self.cut = False
        self.room = room
        self._topics = topics
        self._waiting: list[Sent] = []
        self._read = 0

    def send(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
        if len(self._waiting) >= self.room:
            raise NoRoom
        self._waiting.append(Sent(topic, key, value, dict(headers)))
        if not self.cut:
            self._topics.sent += self._waiting
            self._waiting = []

    def poll(self, _within_ms: int) -> list[Record]:
        if self.cut:
            raise Unreached("cut")
        new = self._topics.states[self._read :]
        self._read += len(new)
        return new

    def close(self, _within_ms: int) -> None:
        pass
