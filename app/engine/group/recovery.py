"""How a task becomes ready: stable positions first, then the changelog's tail, then both must agree.

In this order because a transaction belongs to a slot: the former owner may have one open, and its
states are in the changelog before its positions are stable (docs/transaction-grain.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from app.engine.broker.codes import RETRIABLE, UNREACHABLE, check
from app.engine.broker.ends import known_bounds
from app.engine.broker.fetch import Row, Stretch, stretches
from app.engine.broker.protocol import Heartbeat, OffsetFetch
from app.engine.faults import fault_point
from app.engine.state.positions import NONE, Offsets
from app.engine.state.rocks import Damaged, RocksStore
from app.engine.transactions.transaction import Claim
from app.telemetry.logs import log

STEP_ROWS_BYTES = 256 << 10  # between two looks at the loop
HELD_S = 60.0


class Refused(Exception):
    """The state and the group contradict each other, or something holds the log: the message names both."""


async def stable_offsets(
    client: AIOKafkaClient, group: str, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, int]:
    """Committed positions, -1 where there is none; waits for transactions that are still open on them."""
    by_topic: dict[str, list[int]] = {}
    for at in partitions:
        by_topic.setdefault(at.topic, []).append(at.partition)
    request: list[tuple[Any, ...]] = [(topic, numbers, {}) for topic, numbers in by_topic.items()]
    while True:
        try:
            node = await client.coordinator_lookup(CoordinationType.GROUP, group)
            answer = await client.send(node, OffsetFetch(group, request, True, {}))
            codes = {answer.error_code, *(p[4] for _, found, _ in answer.topics for p in found)}
            if not codes & RETRIABLE:
                break
        except UNREACHABLE:
            await client.force_metadata_update()
        await asyncio.sleep(0.02)
    for code in codes:
        check(code, f"OffsetFetch {group}")
    return {TopicPartition(topic, p[0]): p[1] for topic, found, _ in answer.topics for p in found}


async def holds(client: AIOKafkaClient, group: str, claim: Claim) -> bool:
    """Whether the claim is the group's newest still: a worker that was frozen has not heard yet that others go on."""
    if claim.instance is None:
        return True
    while True:
        try:
            node = await client.coordinator_lookup(CoordinationType.GROUP, group)
            answer = await client.send(node, Heartbeat(group, claim.generation, claim.member, claim.instance, {}))
            if answer.error_code not in RETRIABLE:
                return bool(answer.error_code == 0)
        except UNREACHABLE:
            await client.force_metadata_update()
        await asyncio.sleep(0.02)


async def restore(
    client: AIOKafkaClient, at: TopicPartition, store: RocksStore, progress: Callable[[int, int], None]
) -> int:
    """Committed rows up to the high watermark of this moment; returns how many there were.

    `progress` gets rows done and offsets left. Raises Refused when an open transaction of somebody
    else hides a part of the log for a minute (S6).
    """
    try:
        return await _read_tail(client, at, store, progress)
    except (OffsetOutOfRangeError, Damaged) as error:
        log.error("store_rebuilt", task=store.path.name, error=str(error))
        store.wipe()
        return await _read_tail(client, at, store, progress)


async def _read_tail(
    client: AIOKafkaClient, at: TopicPartition, store: RocksStore, progress: Callable[[int, int], None]
) -> int:
    until, done, moved = (await known_bounds(client, [at]))[at].end, 0, monotonic()
    async for stretch in stretches(client, at, store.meta.changelog_offset):
        if stretch.next_offset > store.meta.changelog_offset:
            await _apply(store, stretch)
            done, moved = done + len(stretch.rows), monotonic()
        progress(done, max(0, until - stretch.next_offset))
        if stretch.next_offset >= until:
            break
        if monotonic() - moved > HELD_S:
            held = f"{at.topic}/{at.partition}: held by an open transaction"
            raise Refused(f"{held} at {stretch.stable_offset}, its end is {until}")
    if done:
        await asyncio.to_thread(store.flush)
    return done


async def _apply(store: RocksStore, stretch: Stretch[Row]) -> None:
    for rows, offset in _steps(stretch.rows, store.meta.changelog_offset, stretch.next_offset):
        store.restore(rows, offset)
        fault_point("during_restore")
        await asyncio.sleep(0)


def _steps(
    rows: list[tuple[bytes, bytes | None]], begin: int, end: int
) -> Iterable[tuple[list[tuple[bytes, bytes | None]], int]]:
    """Cut by bytes. Only the last step moves the offset on: a crash in between repeats the rows."""
    part: list[tuple[bytes, bytes | None]] = []
    size = 0
    for row in rows:
        part.append(row)
        size += len(row[1] or b"")
        if size >= STEP_ROWS_BYTES:
            yield part, begin
            part, size = [], 0
    yield part, end


def starting_positions(
    task: str,
    committed: Mapping[str, int],
    stored: Mapping[str, int],
    bounds: Mapping[str, tuple[int, int]],
    reset: str,
) -> dict[str, int]:
    """Where each source topic goes on (S4).

    `committed`: the group's, -1 for none; `stored`: those of the changelog; `bounds`: first and next
    offset of each log. Raises Refused, naming both numbers.
    """
    found = {}
    for topic, (first, end) in bounds.items():
        offsets = Offsets(task, topic, committed.get(topic, NONE), stored.get(topic, NONE), first, end)
        if offsets.trouble is not None:
            raise Refused(offsets.said)
        found[topic] = offsets.position(reset)
    return found
