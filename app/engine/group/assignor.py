"""Our own partition assignor: the group's leader assigns tasks, every member is told who has which (T2).

It runs in the consumer thread. What others read is `view`, one immutable object that is swapped.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from app.engine.faults import fault_point
from app.engine.group.placement import Member, TaskId, majority, place
from app.engine.group.slots import STORES, Slot
from app.engine.topology import SubTopology

PROTOCOL = "iopt-tasks-1"  # of the group: members with another one cannot join, so it never changes
VERSION = 0


class UnknownCount(Exception):
    """Nobody knows how many partitions a topic has: to assign none of them would take them from their owners."""


class Row(msgspec.Struct, frozen=True):
    """A sub-topology as a member runs it. `tasks`: 0 for as many as its topics have partitions."""

    hash: str
    topics: tuple[str, ...]
    tasks: int = 0


class Seat(msgspec.Struct, frozen=True):
    """Who a member is, as the others must know it."""

    slot: int
    url: str = ""
    rows: Mapping[str, str] = {}  # hash by row


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a member says when it joins."""

    id: str
    slot: int
    url: str
    rows: Mapping[str, Row]
    counts: Mapping[str, int]  # partitions by topic, as it knows them
    held: tuple[TaskId, ...]
    stores: tuple[TaskId, ...]
    round: int
    nonce: int  # a join that says nothing new is answered with the old assignment


class View(msgspec.Struct, frozen=True):
    """What the leader says to all, by member."""

    round: int = 0
    seats: Mapping[str, Seat] = {}
    tasks: Mapping[str, tuple[TaskId, ...]] = {}
    counts: Mapping[str, int] = {}

    def owner(self, task: TaskId) -> str | None:
        return next((id_ for id_, tasks in self.tasks.items() if task in tasks), None)


class Me(NamedTuple):
    """This member: `counts` and what lies in `stores` change while it runs."""

    id: str
    slot: int
    url: str
    rows: Mapping[str, Row]
    counts: Mapping[str, int]
    stores: Path

    def stored(self) -> tuple[TaskId, ...]:
        found = [path.name.rpartition("-") for path in self.stores.iterdir()] if self.stores.is_dir() else []
        return tuple(sorted((row, int(number)) for row, _, number in found if row in self.rows and number.isdecimal()))


def _seat(of: Told | Me) -> Seat:
    return Seat(of.slot, of.url, {name: row.hash for name, row in of.rows.items()})


_packed = msgspec.msgpack.Encoder().encode
_told = msgspec.msgpack.Decoder(Told).decode
_view = msgspec.msgpack.Decoder(View).decode


def me_of(slot: Slot, url: str, subs: Mapping[str, SubTopology], partitions: int, counts: Mapping[str, int]) -> Me:
    rows = {name: row_of(sub, partitions) for name, sub in subs.items()}
    return Me(slot.instance, slot.number, url, rows, counts, slot.directory / STORES)


def row_of(sub: SubTopology, partitions: int) -> Row:
    """The hash is of what decides how records become states: members with another one cannot take over its tasks."""
    topics, tables = sorted(sub.readers), sorted((table.id, table.name, table.format) for table in sub.tables)
    tasks = partitions if sub.tables else 0
    return Row(sha256(repr((topics, tables, tasks)).encode()).hexdigest()[:16], tuple(topics), tasks)


def share_out(told: Mapping[str, Told], leader: str, known: Callable[[str], int]) -> View:
    """`told`: by member. Of a topic's partitions the most counts that anybody knows of. Raises UnknownCount."""
    topics = {topic for one in told.values() for row in one.rows.values() for topic in row.topics}
    counts = {topic: max(known(topic), *(one.counts.get(topic, 0) for one in told.values())) for topic in topics}
    if unknown := sorted(topic for topic, count in counts.items() if count == 0):
        raise UnknownCount(f"the number of partitions is not known: {', '.join(unknown)}")
    chosen = majority({id_: _seat(one).rows for id_, one in told.items()}, leader)
    rows = {name: row for one in told.values() for name, row in one.rows.items() if row.hash == chosen[name]}
    sizes = {name: row.tasks or max(counts[topic] for topic in row.topics) for name, row in rows.items()}
    newest_first = sorted(told.values(), key=lambda one: (-one.round, one.id))
    placed = place(sizes, [_member(one, chosen) for one in newest_first])
    return View(
        round=max(one.round for one in told.values()) + 1,
        seats={id_: _seat(one) for id_, one in told.items()},
        tasks={id_: tuple(tasks) for id_, tasks in placed.items()},
        counts=counts,
    )


def _member(told: Told, chosen: Mapping[str, str]) -> Member:
    able = frozenset(name for name, row in told.rows.items() if row.hash == chosen[name])
    return Member(told.id, able, frozenset(told.held), frozenset(told.stores))


def partitions_of(tasks: Iterable[TaskId], rows: Mapping[str, Row], counts: Mapping[str, int]) -> dict[str, list[int]]:
    """By topic. A task has the partition of its number of each topic that has one."""
    found: dict[str, list[int]] = {}
    for row, number in sorted(tasks):
        for topic in rows[row].topics:
            if number < counts[topic]:
                found.setdefault(topic, []).append(number)
    return found


class TaskAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """Faust makes it, and asks it for partitions of its own tables; there are none."""

    name = PROTOCOL

    def __init__(self, app: Any, replicas: int = 0, *, me: Me) -> None:  # noqa: ARG002
        self.me, self.view = me, View()
        self.joined, self.nonce = 0, 0

    @property
    def known(self) -> bool:
        """Whether the others know this member as it is."""
        return self.view.seats.get(self.me.id) == _seat(self.me)

    def counts(self) -> dict[str, int]:
        """Partitions of the topics that are read."""
        return {topic: self.me.counts.get(topic, 0) for row in self.me.rows.values() for topic in row.topics}

    def _said(self) -> Told:
        me = self.me
        return Told(
            id=me.id,
            slot=me.slot,
            url=me.url,
            rows=me.rows,
            counts=self.counts(),
            held=self.view.tasks.get(me.id, ()),
            stores=me.stored(),
            round=self.view.round,
            nonce=self.nonce,
        )

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(VERSION, sorted(topics), _packed(self._said()))

    def assign(
        self, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """In the leader, between JoinGroup and SyncGroup. Raises UnknownCount."""
        fault_point("during_assignment")
        told = {member: _told(metadata.user_data) for member, metadata in members.items()}
        said = {one.id: one for one in told.values()}
        view = share_out(said, self.me.id, lambda topic: len(cluster.partitions_for_topic(topic) or ()))
        packed = zlib.compress(_packed(view))
        shares = {member: partitions_of(view.tasks[one.id], one.rows, view.counts) for member, one in told.items()}
        return {
            member: ConsumerProtocolMemberAssignment(VERSION, sorted(share.items()), packed)
            for member, share in shares.items()
        }

    def current(self, assignment: ConsumerProtocolMemberAssignment) -> ConsumerProtocolMemberAssignment:
        """Without rows that this member runs otherwise by now: a static restart is given what it had before."""
        view = _view(zlib.decompress(assignment.user_data))
        then = view.seats[self.me.id].rows if self.me.id in view.seats else {}
        mine = {topic for name, row in self.me.rows.items() if then.get(name) == row.hash for topic in row.topics}
        shares = [(topic, numbers) for topic, numbers in assignment.assignment if topic in mine]
        return ConsumerProtocolMemberAssignment(assignment.version, shares, assignment.user_data)

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        self.view = _view(zlib.decompress(assignment.user_data))
        self.joined += 1

    def assigned_actives(self) -> set[Any]:
        return set()

    def assigned_standbys(self) -> set[Any]:
        return set()
