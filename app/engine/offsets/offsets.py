"""What group, changelogs and logs say of every task's positions, read in the order in which a worker reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from app.engine.broker import cluster, ends
from app.engine.broker.admin import Refused
from app.engine.broker.ends import Bounds
from app.engine.broker.fetch import stretches
from app.engine.group.recovery import stable_offsets
from app.engine.state.positions import NONE, Offsets
from app.engine.state.stored import POSITIONS_KEY, Positions, decode_positions
from app.engine.topology import SubTopology
from app.wire.topics import changelog

OPEN_S = 30.0  # a killed worker's transaction has ended by then
LOOK_BACK, FURTHER = 500, 8  # offsets: every transaction writes the positions, so they are near the end


class TaskOffsets(NamedTuple):
    """`kept`: the newest positions record of the changelog. `lag` counts to the stable offset."""

    changelog: TopicPartition
    kept: Positions
    sources: Mapping[str, Offsets]
    lag: Mapping[str, int]


async def look(client: AIOKafkaClient, group: str, subs: Iterable[SubTopology]) -> list[TaskOffsets]:
    """Of all tasks whose topics are there. Raises Refused, also when a transaction stays open on them."""
    subs = list(subs)
    names = {name for sub in subs for name in (changelog(sub.row).name, *sub.readers)}
    counts = (await cluster.look(client, names, cluster.Cluster())).counts
    await client.set_topics(list(counts))
    try:
        async with asyncio.timeout(OPEN_S):
            return [task for sub in subs for task in await _of(client, group, sub, counts)]
    except TimeoutError as error:
        raise Refused(f"a transaction stays open on the positions of {group}; try again when it has ended") from error


async def _of(client: AIOKafkaClient, group: str, sub: SubTopology, counts: Mapping[str, int]) -> list[TaskOffsets]:
    log = changelog(sub.row).name
    sources = [TopicPartition(name, number) for name in sub.readers for number in range(counts.get(name, 0))]
    committed = await stable_offsets(client, group, sources) if sources else {}
    logs = [TopicPartition(log, number) for number in range(counts.get(log, 0))]
    limits = await ends.bounds(client, [*sources, *logs])
    found = []
    for at in logs:
        kept = await _newest(client, at, limits[at]) or Positions({}, 0, "", counts[log])
        if kept.group not in ("", group):
            raise Refused(f"{log} holds the state of group {kept.group!r}, and the settings say {group!r}")
        own = {each.topic: limits[each] for each in sources if each.partition == at.partition}
        groups = {topic: committed[TopicPartition(topic, at.partition)] for topic in own}
        found.append(_task(f"{sub.row}-{at.partition}", at, kept, groups, own))
    return found


def _task(
    name: str, at: TopicPartition, kept: Positions, groups: Mapping[str, int], limits: Mapping[str, Bounds]
) -> TaskOffsets:
    sources = {
        topic: Offsets(name, topic, groups[topic], kept.next.get(topic, NONE), first, end)
        for topic, (first, _, end) in limits.items()
    }
    lag = {
        topic: max(0, limits[topic].stable - max(offsets.first, offsets.changelog))
        for topic, offsets in sources.items()
    }
    return TaskOffsets(at, kept, sources, lag)


async def _newest(client: AIOKafkaClient, at: TopicPartition, limits: Bounds) -> Positions | None:
    """The last committed positions record, looked for from the end on backwards."""
    back = LOOK_BACK
    while True:
        begin, found = max(limits.first, limits.end - back), None
        async for stretch in stretches(client, at, begin):
            for key, value in stretch.rows:
                found = value if key == POSITIONS_KEY else found
            if stretch.next_offset >= limits.end:
                break
        if found is not None:
            return decode_positions(found)
        if begin == limits.first:
            return None
        back *= FURTHER
