"""Local stores of stopped workers beside the changelog, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import rocksdict

from app.engine.processor import Table
from app.engine.state.rocks import META, STATE, TIMER, Standing, _options, _timer
from app.engine.state.stored import POSITIONS_KEY, Codec, decode_positions, due_of, mark_of
from app.wire.partition import partition
from tests.support.kafka import POLL_S, Kafka, ended_partition
from tests.support.toy import Account


class Row(NamedTuple):
    """Of a changelog."""

    offset: int
    key: bytes
    value: bytes | None


class Local(NamedTuple):
    """What is on disk: states as in the changelog, index entries by state key."""

    standing: Standing
    states: dict[bytes, bytes]
    entries: dict[bytes, list[int]]


def rows_of(kafka: Kafka, topic: str) -> dict[int, list[Row]]:
    """All committed rows by partition. Keys of a changelog are no text."""
    found: dict[int, list[Row]] = {number: [] for number in range(kafka.topics()[topic])}
    ended: set[int] = set()
    with kafka._reader(topic) as reader:
        while len(ended) < len(found):
            for message in reader.consume(500, POLL_S):
                number, offset, key = message.partition(), message.offset(), message.key()
                assert number is not None
                if ended_partition(message) is not None:
                    ended.add(number)
                    continue
                assert offset is not None
                assert isinstance(key, bytes)
                found[number].append(Row(offset, key, message.value()))
    return found


def content(rows: Iterable[Row], before: int | None = None) -> tuple[dict[bytes, bytes], dict[str, int]]:
    """States and positions that the rows before an offset come to."""
    states: dict[bytes, bytes] = {}
    positions: dict[str, int] = {}
    for offset, key, value in rows:
        if before is not None and offset >= before:
            break
        if key == POSITIONS_KEY:
            positions = decode_positions(value or b"").next
        elif value is None:
            states.pop(key, None)
        else:
            states[key] = value
    return states, positions


def states_of(table: Table[Account], logged: Mapping[int, Sequence[Row]]) -> dict[str, Account]:
    """Of all partitions; a state on another one than its key's would hide the one that counts."""
    codec, found = Codec(table), dict[str, Account]()
    for number, rows in logged.items():
        for key, value in content(rows)[0].items():
            if key[0] == table.id:
                assert number == partition(key[1:], len(logged)), f"{key!r} is on partition {number}"
                found[key[1:].decode()] = codec.unpack(value)
    return found


def local(path: Path) -> Local | None:
    """None for one that has never been flushed, or not even made."""
    if not (path / "CURRENT").exists():
        return None
    store = rocksdict.Rdict(str(path), _options(), access_type=rocksdict.AccessType.read_only())
    try:
        rows: dict[Any, Any] = dict(store.items())
    finally:
        store.close()
    if META not in rows:
        return None
    entries: dict[bytes, list[int]] = {}
    for key in rows:
        if key.startswith(TIMER):
            entries.setdefault(key[_timer.size :], []).append(_timer.unpack_from(key)[1])
    states = {key[1:]: value for key, value in rows.items() if key.startswith(STATE)}
    return Local(msgspec.msgpack.decode(rows[META], type=Standing), states, entries)


def faults_of(found: Local, rows: Sequence[Row]) -> Iterable[str]:
    """What is wrong with a store that should be its changelog up to where it says that it stands."""
    standing = found.standing
    states, positions = content(rows, standing.offset)
    if standing.positions != positions:
        yield f"positions {standing.positions}, and {positions} in the changelog"
    wrong = [key for key in {**states, **found.states} if states.get(key) != found.states.get(key)]
    if wrong:
        one = wrong[0]
        yield f"{len(wrong)} states differ: {one!r} is {found.states.get(one)!r}, and {states.get(one)!r} there"
    due = {key: due_of(value) for key, value in found.states.items() if due_of(value)}
    missed = [
        key
        for key, at in due.items()
        if not any(standing.cursor <= (entry, key) and entry <= at for entry in found.entries.get(key, ()))
    ]
    if missed:
        yield f"{len(missed)} timers would never fire: {missed[0]!r} is due at {due[missed[0]]}"
    marks: dict[str, int] = {}
    for key, value in found.states.items():
        marks[f"{key[0]}:{mark_of(value)}"] = marks.get(f"{key[0]}:{mark_of(value)}", 0) + 1
    if {name: count for name, count in standing.marks.items() if count} != marks:
        yield f"counts by mark {standing.marks}, and {marks} states"
