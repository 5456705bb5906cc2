"""Processors that share a source topic or a table are one sub-topology; its tasks are numbered by partition.

As in Kafka Streams (KIP-28), found by union-find at start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.engine.processor import Processor, Table, View, never
from app.wire.topics import Sources, Topic


class TopologyError(Exception):
    """The processors contradict each other; nothing has been started."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A topic and the processor that reads it."""

    topic: Topic
    processor: Processor


@dataclass(frozen=True, slots=True)
class SubTopology:
    row: str
    readers: Mapping[str, Reader]  # by topic name
    tables: tuple[Table[Any], ...]
    timers: Mapping[int, Processor]  # by table id

    @property
    def first(self) -> frozenset[str]:
        """Topics that go before the others (R8)."""
        return frozenset(name for name, reader in self.readers.items() if reader.processor.first)

    @property
    def views(self) -> tuple[View[Any], ...]:
        found = {view: None for reader in self.readers.values() for view in reader.processor.reads}
        found |= {view: None for processor in self.timers.values() for view in processor.reads}
        return tuple(found)


def build(processors: Iterable[Processor], named: Mapping[Sources, Sequence[Topic]]) -> dict[str, SubTopology]:
    """Sub-topologies by row. `named` says which topics stand for a `Sources`.

    Raises TopologyError: a topic with two readers, rows that share a topic or table, one row whose
    processors share nothing, a table with a `due` and not exactly one processor for its timers, two
    processors of one name.
    """
    processors = list(processors)
    if twice := [name for name, count in Counter(one.name for one in processors).items() if count > 1]:
        raise TopologyError(f"{twice[0]}: two processors of that name, and an agent is known by it")
    readers: dict[str, Reader] = {}
    rows: dict[str, list[Processor]] = {}
    for processor in processors:
        rows.setdefault(processor.row, []).append(processor)
        for topic in _topics(processor, named):
            if topic.name in readers:
                first = readers[topic.name].processor.name
                raise TopologyError(f"{topic.name} has two readers: {first} and {processor.name}")
            readers[topic.name] = Reader(topic, processor)
    _check_tables(rows)
    built = {row: _sub_topology(row, mine, readers) for row, mine in rows.items()}
    return {row: sub for row, sub in built.items() if sub.readers}


def _topics(processor: Processor, named: Mapping[Sources, Sequence[Topic]]) -> list[Topic]:
    found: list[Topic] = []
    for source in processor.sources:
        found += named.get(source, ()) if isinstance(source, Sources) else (source,)
    return found


def _check_tables(rows: Mapping[str, list[Processor]]) -> None:
    owner: dict[int, tuple[str, Table[Any]]] = {}
    for row, processors in rows.items():
        tables = {processor.keeps for processor in processors}
        if len(processors) > 1 and (len(tables) > 1 or None in tables):
            raise TopologyError(f"row {row}: its processors share no table, so they are two sub-topologies")
        for table in tables - {None}:
            assert table is not None
            taken = owner.setdefault(table.id, (row, table))
            if taken != (row, table):
                raise TopologyError(f"table id {table.id} is {taken[1].name} of {taken[0]} and {table.name} of {row}")


def _sub_topology(row: str, processors: list[Processor], readers: Mapping[str, Reader]) -> SubTopology:
    tables = tuple({processor.keeps: None for processor in processors if processor.keeps})
    timers = {}
    for table in tables:
        mine = [processor for processor in processors if processor.keeps is table and processor.timers]
        if len(mine) != (table.due is not never):
            raise TopologyError(f"table {table.name}: {len(mine)} processors with timers, and its due says otherwise")
        if mine:
            timers[table.id] = mine[0]
    own = {name: reader for name, reader in readers.items() if reader.processor in processors}
    return SubTopology(row, own, tables, timers)
