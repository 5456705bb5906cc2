"""Decoded states of one table in one task, in two generations.

A key leaves only by `rotate`, which the task calls when the newest value of every key that is not
dirty stands in the store. None is a value like any other: the key has no state.
"""

from __future__ import annotations

from typing import Any

from app.engine.processor import Table, never
from app.engine.state.store import Entry, Store
from app.engine.state.stored import Codec, Unreadable, mark_of

MISSING: Any = object()
OBJECT_RATIO = 4  # a decoded state takes about this many times its encoded bytes


class Cache:
    __slots__ = (
        "_held",
        "codec",
        "dirty",
        "fired",
        "hot",
        "limit",
        "loading",
        "mean",
        "old",
        "prefix",
        "store",
        "table",
    )

    def __init__(self, table: Table[Any], store: Store, limit_bytes: int) -> None:
        self.table, self.store, self.limit = table, store, limit_bytes
        self.codec: Codec[Any] = Codec(table)
        self.prefix = bytes([table.id])
        self.hot: dict[bytes, Any] = {}
        self.old: dict[bytes, Any] = {}
        self.dirty: dict[bytes, Any] = {}  # key -> its state before this transaction
        self.fired: set[bytes] = set()  # keys whose index entry was consumed in this transaction
        self.mean = 256  # encoded bytes of a state
        self.loading = False
        self._held = 0

    def load(self, key: bytes) -> Any:
        """The state of a key that `hot` does not have. What is raised here is never a record's fault."""
        state = self.old.get(key, MISSING)
        if state is MISSING:
            self.loading = True
            raw = self.store.get(self.prefix + key)
            state = None if raw is None else self._unpacked(key, raw)
            self.loading = False
            self._held += len(raw) if raw else 64
        self.hot[key] = state
        return state

    def _unpacked(self, key: bytes, raw: bytes) -> Any:
        try:
            return self.codec.unpack(raw)
        except Unreadable as error:
            raise type(error)(f"{error}; key {key.decode(errors='replace')}") from error

    def state(self, key: bytes) -> Any:
        state = self.hot.get(key, MISSING)
        return self.load(key) if state is MISSING else state

    def put(self, key: bytes, before: Any, state: Any) -> None:
        if key not in self.dirty:
            self.dirty[key] = before
        self.hot[key] = state

    def copy(self, state: Any) -> Any:
        """The same state from its own bytes. Raises what encoding raises, ValueError for what cannot be read again."""
        try:
            return None if state is None else self.codec.unpack(self.codec.pack(state))
        except Unreadable as error:
            raise ValueError(str(error)) from error

    def changes(self, entries: list[Entry], marks: dict[str, int], now_ms: int) -> list[tuple[bytes, bytes | None]]:
        """Newest value of each dirty key; adds index entries and moves the counts by mark. Ends the transaction."""
        found: list[tuple[bytes, bytes | None]] = []
        timed = self.table.due is not never
        for key, before in self.dirty.items():
            state = self.hot[key]
            value = None if state is None else self.codec.pack(state)
            found.append((self.prefix + key, value))
            if timed and state is not None:
                self._index(key, before, state, entries, now_ms)
            self._count(before, value, marks)
        self._weigh(found)
        self.dirty, self.fired = {}, set()
        return found

    def _index(self, key: bytes, before: Any, state: Any, entries: list[Entry], now_ms: int) -> None:
        due = self.table.due(state)
        if due is None:
            return
        known = None if before is None or key in self.fired else self.table.due(before)
        if known is None or due < known or known <= now_ms:  # one that has come may have been put off
            entries.append((due, self.prefix + key))

    def _count(self, before: Any, value: bytes | None, marks: dict[str, int]) -> None:
        if before is not None and value is not None and self.table.mark(before) == mark_of(value):
            return
        if before is not None:
            name = f"{self.table.id}:{self.table.mark(before)}"
            marks[name] = marks.get(name, 0) - 1
        if value is not None:
            name = f"{self.table.id}:{mark_of(value)}"
            marks[name] = marks.get(name, 0) + 1

    def _weigh(self, changes: list[tuple[bytes, bytes | None]]) -> None:
        sizes = sum(len(value) for _, value in changes if value)
        self._held += sizes
        if changes:
            self.mean = sizes // len(changes) + 1

    def rotate(self) -> None:
        if self._held * OBJECT_RATIO > self.limit:
            self.old = self.hot
            self.hot = {key: self.old[key] for key in self.dirty}
            self._held = 0

    def drop(self) -> None:
        self.hot, self.old, self.dirty, self.fired = {}, {}, {}, set()
        self._held, self.loading = 0, False
