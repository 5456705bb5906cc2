"""What the cluster has: topics, their partitions and ids; and the creation of our own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DescribeConfigsRequest

from app.engine.broker.codes import UNREACHABLE, TopicGone
from app.engine.broker.limits import Limits
from app.engine.broker.protocol import NO_ID, CreatePartitions, CreateTopics, Metadata
from app.telemetry.logs import log
from app.wire.topics import Topic, configs

UNKNOWN_TOPIC, ALREADY_EXISTS = 3, 36
CREATE_MS, WATCH_S = 15_000, 5.0


@dataclass(slots=True)
class Cluster:
    id: str = ""
    counts: dict[str, int] = field(default_factory=dict)  # partitions by topic
    ids: dict[str, str] = field(default_factory=dict)  # topic ids: another one is another topic of that name
    limits: Limits = field(default_factory=Limits)


async def ask_any(client: AIOKafkaClient, request: Any) -> Any:
    """Any broker's answer: of several one may be away, and be in the metadata still. Raises when none answers."""
    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    random.shuffle(nodes)
    for node in nodes[:-1]:
        try:
            return await client.send(node, request)
        except UNREACHABLE as error:
            log.warning("broker_unreachable", node=node, error=repr(error))
    return await client.send(nodes[-1], request)


async def look(client: AIOKafkaClient, names: Iterable[str], known: Cluster) -> Cluster:
    """Refreshes `known` in place; topics that are not there are not in it, those without a leader stay as they were."""
    wanted: list[tuple[Any, ...]] = [(NO_ID, name, {}) for name in sorted(set(names))]
    answer = await ask_any(client, Metadata(wanted, False, False, {}))
    known.id = answer.cluster_id
    for code, name, topic_id, _, partitions, _, _ in answer.topics:
        if code == 0:
            known.counts[name], known.ids[name] = len(partitions), topic_id.hex()
        elif code == UNKNOWN_TOPIC:
            known.counts.pop(name, None)
    return known


async def limits(client: AIOKafkaClient, names: Iterable[str]) -> dict[str, int]:
    """`max.message.bytes` by topic, but for those that are gone or may not be described."""
    asked = [(ConfigResourceType.TOPIC, name, ["max.message.bytes"]) for name in sorted(set(names))]
    answer = await ask_any(client, DescribeConfigsRequest(asked))
    return {name: int(entries[0][1]) for code, _, _, name, entries in answer.resources if code == 0}


async def watch(client: AIOKafkaClient, known: Cluster, check: Callable[[], None]) -> None:
    """Until cancelled: foreign topics may grow. Raises TopicGone, and whatever `check` does."""
    ids, gone = dict(known.ids), set[str]()
    while True:
        await asyncio.sleep(WATCH_S)
        try:
            await look(client, ids, known)
            known.limits.learn(await limits(client, ids))
        except UNREACHABLE as error:
            log.warning("metadata_unreachable", error=repr(error))
            continue
        missing = {name for name, id_ in ids.items() if name not in known.counts or known.ids[name] != id_}
        if missing & gone:
            raise TopicGone(f"topics deleted, or made anew: {', '.join(sorted(missing))}")
        if not missing:
            check()
        gone = missing


async def create(client: AIOKafkaClient, topics: Mapping[Topic, int], replication: int) -> None:
    """Own topics with their numbers of partitions; -1 replicas: as the brokers say. One that exists stays as it is."""
    wanted: list[tuple[Any, ...]] = [
        (topic.name, count, replication, [], [(name, value, {}) for name, value in configs(topic).items()], {})
        for topic, count in topics.items()
    ]
    answer = await ask_any(client, CreateTopics(wanted, CREATE_MS, False, {}))
    for name, code, message, *_ in answer.topics:
        if code not in (0, ALREADY_EXISTS):
            raise for_code(code)(f"creating {name}: {message}")


async def grow(client: AIOKafkaClient, counts: Mapping[str, int], known: Cluster) -> None:
    """Own topics that have fewer partitions; returns when the cluster has them."""
    wanted: list[tuple[Any, ...]] = [
        (name, count, None, {}) for name, count in counts.items() if known.counts[name] < count
    ]
    if not wanted:
        return
    answer = await ask_any(client, CreatePartitions(wanted, CREATE_MS, False, {}))
    for name, code, message, _ in answer.results:
        if code != 0 and (await look(client, counts, known)).counts[name] < counts[name]:
            raise for_code(code)(f"growing {name}: {message}")
    while any(known.counts[name] < count for name, count in counts.items()):
        await look(client, counts, known)
        await asyncio.sleep(0.05)
    await client.force_metadata_update()


async def until_led(client: AIOKafkaClient, names: Iterable[str], known: Cluster) -> None:
    """Until every topic has its partitions: right after a creation it may not."""
    names = list(names)
    while True:
        await look(client, names, known)
        if all(name in known.counts for name in names):
            return
        await asyncio.sleep(0.05)
