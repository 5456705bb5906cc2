"""What a task keeps: states, the index of their dues, and where it stands.

Keys of states are `table id u8 | key`. An index entry is `(due_ms, state key)`; the invariant is
that a state with a due has *some* entry not later than it (engine rule C2), never exactly one.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

Entry = tuple[int, bytes]  # due_ms, state key
FIRST: Entry = (0, b"")


@dataclass(frozen=True, slots=True)
class Meta:
    """Where a store stands: written in the same batch as what it describes."""

    changelog_offset: int = 0  # next to restore from
    positions: Mapping[str, int] = field(default_factory=dict)
    now_ms: int = 0
    cursor: Entry = FIRST  # timers before it have fired
    marks: Mapping[str, int] = field(default_factory=dict)  # "<table id>:<mark>" -> states
    group: str = ""  # whose positions they are
    expired: Mapping[str, int] = field(default_factory=dict)  # by topic: gone before they were read, not counted yet


class Write(NamedTuple):
    """One committed step of a task."""

    changes: Sequence[tuple[bytes, bytes | None]]
    entries: Sequence[Entry]
    gone: Sequence[Entry]
    meta: Meta


class Store(Protocol):
    meta: Meta

    def get(self, key: bytes) -> bytes | None: ...

    def write(self, write: Write) -> None: ...

    def due(self, since: Entry, until_ms: int, limit: int) -> list[Entry]:
        """Index entries from `since` on, due at `until_ms` or before, earliest first."""

    def scan(self, prefix: bytes, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Committed states whose key begins with `prefix` and comes after `after`, in order of key."""


class MemoryStore:
    """The store of the driver."""

    def __init__(self) -> None:
        self.meta = Meta()
        self._states: dict[bytes, bytes] = {}
        self._entries: list[Entry] = []

    def get(self, key: bytes) -> bytes | None:
        return self._states.get(key)

    def write(self, write: Write) -> None:
        for key, value in write.changes:
            if value is None:
                self._states.pop(key, None)
            else:
                self._states[key] = value
        self._drop(write.gone)
        for entry in write.entries:
            self._add(entry)
        self.meta = write.meta

    def _add(self, entry: Entry) -> None:
        at = bisect_left(self._entries, entry)
        if at == len(self._entries) or self._entries[at] != entry:
            insort(self._entries, entry)

    def _drop(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            at = bisect_left(self._entries, entry)
            if at < len(self._entries) and self._entries[at] == entry:
                del self._entries[at]

    def due(self, since: Entry, until_ms: int, limit: int) -> list[Entry]:
        end = bisect_left(self._entries, (until_ms + 1, b""))
        begin = bisect_left(self._entries, since)
        return self._entries[begin : min(end, begin + limit)]

    def scan(self, prefix: bytes, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return list(self._after(prefix, after))[:limit]

    def _after(self, prefix: bytes, after: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self._states):
            if key.startswith(prefix) and key > after:
                yield key, self._states[key]
