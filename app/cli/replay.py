"""Dead letters back to their topics, each once.

A record and the mark that it was replayed (`iopt.audit`, what `dlq.replay`) are sent in one Kafka transaction, so there
is never one without the other. A position of a consumer group could not say it: single letters, and those of one
reason, are replayed out of their order. The transactional id belongs to the dead-letter topic: beginning fences a
replay that still runs and ends what a killed one left open, and only then the marks are read, up to the end of what was
written. So a replay that comes after sees all that was sent before, and sends the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from app.cli.letters import Letter, mark, replayed
from app.engine.broker.admin import Admin, RawOut, Sender
from app.wire import dead_letter
from app.wire.topics import AUDIT

BATCHES_PER_S = 5
LARGEST_BATCH = 200


@dataclass(slots=True)
class Plan:
    """What would be sent, what was sent before, and what cannot be sent, with the reason."""

    wanted: list[Letter] = field(default_factory=list)
    before: list[Letter] = field(default_factory=list)
    refused: list[tuple[Letter, str]] = field(default_factory=list)


def plan(found: Sequence[Letter], marked: set[str], counts: Mapping[str, int]) -> Plan:
    made = Plan()
    for letter in found:
        if letter.place in marked:
            made.before.append(letter)
        elif why := unsendable(letter, counts):
            made.refused.append((letter, why))
        else:
            made.wanted.append(letter)
    return made


def unsendable(letter: Letter, counts: Mapping[str, int]) -> str | None:
    """Why it cannot be sent to where it came from; None if it can."""
    said = letter.said
    if said.reference is not None:
        at = said.reference
        return f"it was too large to be kept here: the record was at {at.topic}/{at.partition}/{at.offset}"
    if letter.raw.key is None and letter.raw.value is None:
        return "neither its key nor its value was kept"
    if said.topic not in counts:
        return f"its topic {said.topic!r} is not there"
    if said.partition >= counts[said.topic]:
        return f"{said.topic} has {counts[said.topic]} partitions, and it came from {said.partition}"
    return None


async def replay(admin: Admin, found: Sequence[Letter], rate: int, source: str, done: Callable[[int], None]) -> Plan:
    """Send letters of one topic, `rate` a second; returns the plan that was carried out. Raises Refused."""
    async with admin.sender(f"iopt.replay.{found[0].raw.topic}") as sender:
        await admin.settled(AUDIT.name)
        counts = await admin.topics()
        made = plan(found, await replayed(admin, oldest_ms(found)), counts)
        await _send(sender, made.wanted, rate, lambda letter: _outs(letter, source, counts[AUDIT.name]), done)
    return made


def oldest_ms(found: Sequence[Letter]) -> int:
    return min((letter.raw.timestamp_ms for letter in found), default=0)


async def _send(
    sender: Sender,
    wanted: Sequence[Letter],
    rate: int,
    outs: Callable[[Letter], Iterator[RawOut]],
    done: Callable[[int], None],
) -> None:
    size = max(1, min(LARGEST_BATCH, rate // BATCHES_PER_S))
    began = monotonic()
    for at in range(0, len(wanted), size):
        await asyncio.sleep(began + at / rate - monotonic())
        batch = wanted[at : at + size]
        await sender.send(out for letter in batch for out in outs(letter))
        done(len(batch))


def _outs(letter: Letter, source: str, audit_partitions: int) -> Iterator[RawOut]:
    raw, said = letter
    headers = dead_letter.replayed(raw.headers, raw.topic, raw.partition, raw.offset)
    yield RawOut(said.topic, said.partition, raw.key, raw.value, headers)
    yield mark(letter, time.time_ns() // 1_000_000, source, audit_partitions)
