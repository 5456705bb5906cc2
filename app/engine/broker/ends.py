"""Where logs begin and end, asked of their leaders and not of the consumer: it may be what stands still."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, LeaderNotAvailableError, for_code
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from app.engine.broker.codes import UNREACHABLE

NEWEST, OLDEST = -1, -2  # Kafka's names for the ends of a log, in place of a timestamp
ALL, COMMITTED = 0, 1
AWAY_S = 0.1


class Bounds(NamedTuple):
    """`stable`: what lies behind it is of open transactions, or of nobody."""

    first: int
    stable: int
    end: int


async def bounds(client: AIOKafkaClient, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Bounds]:
    """Raises KafkaError, and whatever says that a leader is away."""
    asked = list(partitions)
    first, stable, end = await asyncio.gather(
        _offsets(client, asked, OLDEST, ALL),
        _offsets(client, asked, NEWEST, COMMITTED),
        _offsets(client, asked, NEWEST, ALL),
    )
    return {at: Bounds(first[at], stable[at], max(stable[at], end[at])) for at in asked}


async def known_bounds(client: AIOKafkaClient, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Bounds]:
    """Once every leader answers. A new one does when it knows its high watermark (KIP-207); what it says of it in the
    answer to a fetch may be older than what was read from the one before.
    """
    asked = list(partitions)
    while True:
        try:
            return await bounds(client, asked)
        except UNREACHABLE:
            await asyncio.sleep(AWAY_S)
        except KafkaError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(AWAY_S)
        await client.force_metadata_update()


async def _offsets(
    client: AIOKafkaClient, partitions: Iterable[TopicPartition], instant: int, isolation: int
) -> dict[TopicPartition, int]:
    requests = [
        client.send(
            node, OffsetRequest(-1, isolation, [(topic, [(n, instant) for n in of]) for topic, of in by.items()])
        )
        for node, by in _by_leader(client, partitions).items()
    ]
    found = {}
    for answer in await asyncio.gather(*requests):
        for topic, numbers in answer.topics:
            for number, code, _, offset in numbers:
                if code:
                    raise for_code(code)(f"{topic}/{number}")
                found[TopicPartition(topic, number)] = offset
    return found


def _by_leader(client: AIOKafkaClient, partitions: Iterable[TopicPartition]) -> Mapping[int, Mapping[str, list[int]]]:
    found: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for at in partitions:
        leader = client.cluster.leader_for_partition(at)
        if leader is None or leader == -1:
            raise LeaderNotAvailableError(f"{at.topic}/{at.partition}")
        found[leader][at.topic].append(at.partition)
    return found
