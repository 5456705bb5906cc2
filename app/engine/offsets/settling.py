"""Positions settled by hand (S4): what `iopt offsets` accepts, and how it is written.

As a worker writes it: of each task the positions record in its changelog and the group's positions of all its topics,
in one transaction under a claim on the group. So a kill leaves all of it or nothing, and a worker that joined
meanwhile fences it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from app.engine import startup
from app.engine.broker.admin import Refused
from app.engine.broker.codes import Fenced, TransactionLost
from app.engine.offsets.alone import alone
from app.engine.offsets.offsets import TaskOffsets, look
from app.engine.state.positions import NONE, Offsets, Trouble
from app.engine.state.stored import POSITIONS_KEY, Positions, encode_positions
from app.engine.tasks.lane import Encoded
from app.engine.tasks.outbox import Outbox
from app.engine.topology import SubTopology
from app.engine.transactions.transaction import Transactions

TRANSACTION_MS = 10_000


class Step(NamedTuple):
    """Where one source partition shall go on, and how many records are given up by it."""

    task: TaskOffsets
    offsets: Offsets
    after: int
    expired: int = 0

    @property
    def at(self) -> TopicPartition:
        return TopicPartition(self.offsets.topic, self.task.changelog.partition)


Choice = Callable[[Iterable[TaskOffsets]], list[Step]]


def accepted(tasks: Iterable[TaskOffsets]) -> list[Step]:
    """The group's positions, as somebody set them; the changelog's where the group has none. Raises Refused."""
    steps = []
    for task in tasks:
        for offsets in task.sources.values():
            if offsets.trouble is Trouble.CHANGED:
                steps.append(Step(task, offsets, offsets.group))
            elif offsets.group == NONE and offsets.known:
                steps.append(Step(task, offsets, offsets.changelog))
    for step in steps:
        if step.after > step.offsets.end:
            ends = f"the position is {step.after} and the log ends at {step.offsets.end}"
            raise Refused(f"{step.at.topic}/{step.at.partition}: {ends}; set the group's to one that is there")
    return steps


def skipped(tasks: Iterable[TaskOffsets]) -> list[Step]:
    """The log's start, where it begins behind the position. Raises Refused."""
    steps = []
    for task in tasks:
        for offsets in task.sources.values():
            if offsets.trouble is Trouble.CHANGED:
                raise Refused(offsets.said)
            if offsets.trouble is Trouble.EXPIRED:
                steps.append(Step(task, offsets, offsets.first, offsets.first - offsets.changelog))
    return steps


async def settle(
    client: AIOKafkaClient,
    group: str,
    subs: Iterable[SubTopology],
    choose: Choice,
    audit: Callable[[Step], Encoded],
) -> list[Step]:
    """The steps that are written now, each with an audit record. Raises Refused: then nothing is."""
    subs, version = list(subs), await _version(client)
    await look(client, group, subs)  # what is open ends before workers are kept out
    async with alone(client, group) as claim:
        transactions = version(client, f"iopt.{group}.offsets", group, TRANSACTION_MS)
        try:
            await transactions.init()
            steps, outbox, now_ms = choose(await look(client, group, subs)), Outbox(), time.time_ns() // 1_000_000
            records = {step.task.changelog: _record(step.task, steps, group) for step in steps}
            for at, record in records.items():
                outbox.append(Encoded(at.topic, at.partition, POSITIONS_KEY, encode_positions(record), []), now_ms)
            for step in steps:
                outbox.append(audit(step), now_ms)
            if steps:
                await transactions.commit(outbox.take(), _positions(steps, records), claim)
        except (Fenced, TransactionLost) as error:
            raise Refused(
                f"somebody came meanwhile, a worker or another of these; nothing is written: {error}"
            ) from error
    return steps


async def _version(client: AIOKafkaClient) -> type[Transactions]:
    try:
        return await startup.choose_version(client)
    except startup.NotReady as error:
        raise Refused(str(error)) from error


def _record(task: TaskOffsets, steps: Iterable[Step], group: str) -> Positions:
    positions, expired = dict(task.kept.next), dict(task.kept.expired)
    for step in steps:
        if step.task is task:
            positions[step.at.topic] = step.after
            if step.expired:
                expired[step.at.topic] = expired.get(step.at.topic, 0) + step.expired
    return Positions(positions, task.kept.now_ms, group, task.kept.partitions, expired)


def _positions(steps: Iterable[Step], records: dict[TopicPartition, Positions]) -> dict[TopicPartition, int]:
    """All of the tasks' topics that are read: the claim is only looked at for positions."""
    return {
        TopicPartition(topic, step.task.changelog.partition): offset
        for step in steps
        for topic, offset in records[step.task.changelog].next.items()
        if topic in step.task.sources
    }
