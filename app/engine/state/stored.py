"""The stored form of a state, the same in the changelog and in the store.

    format u8 | flags u8 | due_ms i64 big endian, >= 0, 0: none | msgpack of the array_like Struct

Fields of a state are only appended, with defaults; anything else raises the table's `format`.
"""

from __future__ import annotations

import struct
from typing import Any, Generic, TypeVar

import msgspec

from app.engine.processor import Table, never, unmarked

S = TypeVar("S")

HEADER = struct.Struct(">BBq")
MARK = 0x0F  # of the flags
_encode = msgspec.msgpack.Encoder().encode
_due = struct.Struct(">q").unpack_from


class Unreadable(Exception):
    """A stored state cannot be decoded: the store is at fault, or this version; never a record."""


class NewerFormat(Unreadable):
    """Written by a later version of this service."""


class Codec(Generic[S]):
    def __init__(self, table: Table[S]) -> None:
        self.table = table
        self._decode = msgspec.msgpack.Decoder(table.state).decode
        plain = table.due is never and table.mark is unmarked
        self._header = HEADER.pack(table.format, 0, 0) if plain else None

    def pack(self, state: S) -> bytes:
        if self._header is not None:
            return self._header + _encode(state)
        table = self.table
        due_ms = table.due(state) or 0
        if due_ms < 0:  # its entry would lie behind all others, and draw the scan there
            raise ValueError(f"table {table.name}: due at {due_ms}, expected at least 0")
        return HEADER.pack(table.format, table.mark(state), due_ms) + _encode(state)

    def unpack(self, value: bytes) -> S:
        """Raises Unreadable."""
        table = self.table
        if value[0] > table.format:
            raise NewerFormat(f"table {table.name}: format {value[0]}, and {table.format} is the newest known")
        try:
            return self._decode(memoryview(value)[10:])
        except msgspec.DecodeError as error:
            raise Unreadable(f"table {table.name}, format {value[0]}: {error}") from error


def due_of(value: bytes) -> int:
    """0: none."""
    due: int = _due(value, 2)[0]
    return due


def mark_of(value: bytes) -> int:
    return value[1] & MARK


class Positions(msgspec.Struct, frozen=True, array_like=True):
    """What every transaction writes about its task, under the reserved key of the changelog."""

    next: dict[str, int]  # by source topic: the offset that comes next
    now_ms: int
    group: str
    partitions: int
    expired: dict[str, int] = {}  # records that were gone before they were read, until the worker has counted them


POSITIONS_KEY = b"\0positions"  # table ids begin at 1
encode_positions: Any = _encode
decode_positions = msgspec.msgpack.Decoder(Positions).decode
