"""Who keeps a transaction open on a partition, so that what lies behind it cannot be read yet (H1)."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from app.engine.broker.protocol import DescribeProducers, ListTransactions


class Holder(NamedTuple):
    """Of the oldest open transaction. Without a name where its coordinator does not tell, or does not know it."""

    producer_id: int
    transactional_id: str | None

    def __str__(self) -> str:
        producer = f"producer {self.producer_id}"
        return f"{self.transactional_id} ({producer})" if self.transactional_id else producer


async def holder(client: AIOKafkaClient, at: TopicPartition) -> Holder | None:
    """None where nobody holds it any more, or the partition has no leader. Raises what says that a broker is away."""
    leader = client.cluster.leader_for_partition(at)
    if leader is None or leader == -1:
        return None
    answer = await client.send(leader, DescribeProducers([(at.topic, [at.partition], {})], {}))
    producers = [p for _, partitions, _ in answer.topics for found in partitions for p in found[3] or ()]
    opened = sorted((p[5], p[0]) for p in producers if p[5] >= 0)
    return Holder(opened[0][1], await _name(client, opened[0][1])) if opened else None


async def _name(client: AIOKafkaClient, producer_id: int) -> str | None:
    """Each broker knows the transactions that it coordinates."""
    asked = [client.send(broker.nodeId, ListTransactions([], [producer_id], {})) for broker in client.cluster.brokers()]
    found = [name for answer in await asyncio.gather(*asked) for name, *_ in answer.transactions]
    return found[0] if found else None
