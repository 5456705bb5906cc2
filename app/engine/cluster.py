"""What the cluster has: topics, their partitions and ids; and the creation of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code

from app.engine.protocol import NO_ID, Metadata
from app.wire.topics import Topic, configs

ALREADY_EXISTS = 36


@dataclass(slots=True)
class Cluster:
    id: str = ""
    counts: dict[str, int] = field(default_factory=dict)  # partitions by topic
    ids: dict[str, str] = field(default_factory=dict)  # topic ids: another one is another topic of that name


async def look(client: AIOKafkaClient, names: Iterable[str], known: Cluster) -> Cluster:
    """Refreshes `known` in place; topics that are not there are not in it."""
    wanted = [(NO_ID, name, {}) for name in sorted(set(names))]
    answer = await client.send(client.get_random_node(), Metadata(wanted, False, False, {}))
    known.id = answer.cluster_id
    for code, name, topic_id, _, partitions, _, _ in answer.topics:
        if code == 0:
            known.counts[name], known.ids[name] = len(partitions), topic_id.hex()
        else:
            known.counts.pop(name, None)
    return known


async def create(bootstrap: str, topics: Mapping[Topic, int], replication: int) -> None:
    """Own topics with their numbers of partitions. One that exists by now is left as it is."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics(
            [NewTopic(topic.name, count, replication, topic_configs=configs(topic)) for topic, count in topics.items()]
        )
    finally:
        await admin.close()
    for name, code, message in answer.topic_errors:
        if code not in (0, ALREADY_EXISTS):
            raise for_code(code)(f"creating {name}: {message}")


async def until_led(client: AIOKafkaClient, names: Iterable[str], known: Cluster) -> None:
    """Until every topic has its partitions: right after a creation it may not."""
    names = list(names)
    while True:
        await look(client, names, known)
        if all(name in known.counts for name in names):
            return
        await asyncio.sleep(0.05)
