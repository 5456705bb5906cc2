"""Dead letters as they lie in Kafka, and which of them were replayed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from app.cli.audit import Applied, audit_record
from app.domain.audit import Audit
from app.domain.errors import PassedOver, Rejected
from app.engine.broker.admin import Admin, RawOut, RawRecord
from app.wire.dead_letter import DeadLetter
from app.wire.topics import AUDIT, DAY_MS

PREFIX = "iopt.dlq."
REPLAY = "dlq.replay"


class Letter(NamedTuple):
    raw: RawRecord
    said: DeadLetter

    @property
    def place(self) -> str:
        return f"{self.raw.topic}/{self.raw.partition}/{self.raw.offset}"


def dlq_topic(name: str) -> str:
    """Of a dead-letter topic, or of the source whose dead letters are meant."""
    return name if name.startswith(PREFIX) else PREFIX + name


async def letters(
    admin: Admin, topic: str, partitions: list[int] | None = None, since: int = 0
) -> AsyncIterator[Letter]:
    async for raw in admin.read(topic, partitions, since=since):
        yield Letter(raw, DeadLetter.read(raw.key, raw.value, raw.headers))


async def letter_at(admin: Admin, topic: str, number: int, offset: int) -> Letter | None:
    async for letter in letters(admin, topic, [number], offset):
        return letter if letter.raw.offset == offset else None
    return None


async def replayed(admin: Admin, since_ms: int) -> set[str]:
    """Places of the dead letters that were replayed; those written since then are certainly among them.

    A replay is marked in `iopt.audit`, in the transaction of the record. A mark is younger than its dead letter; a
    day is left for clocks that differ.
    """
    marked: set[str] = set()
    if AUDIT.name not in await admin.topics():
        return marked
    async for raw in admin.read(AUDIT.name, since_ms=max(0, since_ms - DAY_MS)):
        try:
            act: Audit = AUDIT.codec.decode(raw.value, raw.headers)
        except (PassedOver, Rejected):
            continue  # somebody else's writing marks nothing
        if act.what == REPLAY and act.result == "applied":
            marked.add(act.target)
    return marked


def mark(letter: Letter, now_ms: int, source: str, count: int) -> RawOut:
    """The audit record of its replay; `count` is the partitions of the topic."""
    act = Applied(f"{REPLAY}:{letter.place}", REPLAY, letter.place, letter.said.reason)
    return audit_record(act, now_ms, source, count)
