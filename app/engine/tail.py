"""The newest records of a topic, and those that come: for people who look, beside the tasks and never in their way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial as bound
from time import monotonic
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from app.domain.errors import PassedOver, Rejected
from app.engine.broker.ends import Bounds, known_bounds
from app.engine.broker.fetch import Reading, stretches_of, whole
from app.telemetry import logs as telemetry
from app.wire.partition import partition
from app.wire.topics import Topic

FIRST, MOST = 512, 16_384  # records of a partition that are looked at in one step back, and in all
WITHIN_S = 1.0
WAIT_MS = 200

_unreadable = set[TopicPartition]()  # those of which it was said


class Seen(NamedTuple):
    """A record that could be read; `at` is its timestamp in Kafka."""

    topic: Topic
    key: str
    value: Any
    at: int


Wanted = Callable[[Seen], bool]
Hand = Callable[[Seen], None]
Keep = Callable[[TopicPartition, Any], Seen | None]


class Log(NamedTuple):
    topic: Topic
    partitions: int


class Search(NamedTuple):
    """`until` is when it is given up, by the monotonic clock."""

    keep: Keep
    most: int
    until: float


async def newest(client: AIOKafkaClient, log: Log, key: str | None, wanted: Wanted, most: int) -> list[Seen]:
    """The newest `most` records of each partition that are wanted, in its order; of one key, or of all.

    Backwards from the end, in stretches: fewer where a partition has had MOST records since, or after WITHIN_S.
    """
    topic, partitions = log
    numbers = range(partitions) if key is None else [partition(key.encode(), partitions)]
    ends = await known_bounds(client, [TopicPartition(topic.name, number) for number in numbers])
    keep = bound(_kept, topic, key.encode() if key is not None else None, wanted)
    search = Search(keep, most, monotonic() + WITHIN_S)
    found = await asyncio.gather(*(_newest(client, at, of, search) for at, of in ends.items()))
    return [seen for of_partition in found for seen in of_partition]


async def _newest(client: AIOKafkaClient, at: TopicPartition, of: Bounds, search: Search) -> list[Seen]:
    found: list[Seen] = []
    end, lowest, step = of.stable, max(of.first, of.stable - MOST), FIRST
    while end > lowest and len(found) < search.most and monotonic() < search.until:
        begin = max(lowest, end - step)
        try:
            rows = [seen async for record in _between(client, at, begin, end) if (seen := search.keep(at, record))]
        except OffsetOutOfRangeError:
            break  # expired meanwhile
        found, end, step = rows + found, begin, 2 * step
    return found[-search.most :]


async def _between(client: AIOKafkaClient, at: TopicPartition, begin: int, end: int) -> AsyncIterator[Any]:
    async for stretch in stretches_of(client, at, begin, Reading(whole, 1, "newest")):
        for record in stretch.rows:
            if record.offset < end:
                yield record
        if stretch.next_offset >= end:
            break


@asynccontextmanager
async def following(client: AIOKafkaClient, logs: Iterable[Log], hand: Hand) -> AsyncIterator[None]:
    """Once it is entered, every record that is committed to those topics is handed on."""
    by_partition = {TopicPartition(topic.name, n): topic for topic, count in logs for n in range(count)}
    ends = await known_bounds(client, by_partition)
    readers = [
        asyncio.create_task(_follow(client, at, topic, ends[at].stable, hand)) for at, topic in by_partition.items()
    ]
    for reader in readers:
        reader.add_done_callback(_tell)
    try:
        yield
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


def _tell(reader: asyncio.Task[None]) -> None:
    if not reader.cancelled() and (error := reader.exception()):
        telemetry.log.error("tail_failed", error=repr(error))


async def _follow(client: AIOKafkaClient, at: TopicPartition, topic: Topic, offset: int, hand: Hand) -> None:
    keep = bound(_kept, topic, None, lambda _: True)
    while True:
        try:
            async for stretch in stretches_of(client, at, offset, Reading(whole, WAIT_MS, "tail")):
                for record in stretch.rows:
                    if seen := keep(at, record):
                        hand(seen)
        except OffsetOutOfRangeError:
            offset = (await known_bounds(client, [at]))[at].stable


def _kept(topic: Topic, key: bytes | None, wanted: Wanted, at: TopicPartition, record: Any) -> Seen | None:
    """None for what is of another key, what nobody wants, and what cannot be read."""
    if key is not None and record.key != key:
        return None
    try:
        value = topic.codec.decode(record.value, record.headers)
    except PassedOver:
        return None
    except Rejected as error:
        _tell_unreadable(at, record.offset, error)
        return None
    seen = Seen(topic, (record.key or b"").decode(errors="replace"), value, record.timestamp)
    return seen if wanted(seen) else None


def _tell_unreadable(at: TopicPartition, offset: int, error: Rejected) -> None:
    """Of the first one of a partition: whoever looks again would hear it again."""
    if at not in _unreadable:
        _unreadable.add(at)
        telemetry.log.warning("unreadable", topic=at.topic, partition=at.partition, offset=offset, error=str(error))
