"""A task's store in RocksDB: one database, one column family, the write-ahead log off for everything (S2).

    S | table id u8 | key            state, as in the changelog
    T | due_ms i64 | table id | key  index of dues
    M                                where the store stands, and of which cluster and changelog it is

A crash goes back to the last flush, whole; what is missing is in the changelog's tail.
"""

from __future__ import annotations

import shutil
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple

import msgspec
import rocksdict

from app.engine.state.store import Entry, Meta, Write
from app.engine.state.stored import POSITIONS_KEY, Unreadable, decode_positions, due_of, mark_of
from app.telemetry.logs import log

STATE, TIMER, META = b"S", b"T", b"M"
_timer = struct.Struct(">cq")
FORMAT = 1
FLUSH_BYTES, FLUSH_S = 32 << 20, 60.0
BUFFER_BYTES = 16 << 20  # of one memtable, which RocksDB flushes by itself
_BLOCK_CACHE = rocksdict.Cache(128 << 20)


class Damaged(Unreadable):
    """What is on disk is not what was written: the changelog has it (R3)."""


class Closed(Exception):
    """Its task is not this worker's any more."""


def refuse_damage(error: Exception, signs: Sequence[str] = ("Corruption",)) -> None:
    """Raises Damaged for what RocksDB says of its files. A full or a sick disk is neither theirs nor ours to mend."""
    if any(sign in str(error) for sign in signs):  # rocksdict has one type for all errors
        raise Damaged(str(error)) from error


class Identity(NamedTuple):
    """Of what a store is the copy. A store of anything else is wiped and restored from the beginning (S3)."""

    cluster: str
    changelog: str  # topic id/partition


class Standing(msgspec.Struct, frozen=True, array_like=True):
    format: int
    cluster: str
    changelog: str
    written_at: int
    offset: int
    positions: dict[str, int]
    now_ms: int
    cursor: Entry
    marks: dict[str, int]
    group: str = ""
    expired: dict[str, int] = {}


_decode_standing = msgspec.msgpack.Decoder(Standing).decode
_encode = msgspec.msgpack.Encoder().encode


def _options() -> Any:
    blocks = rocksdict.BlockBasedOptions()
    blocks.set_block_cache(_BLOCK_CACHE)
    blocks.set_bloom_filter(10, False)
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_size(BUFFER_BYTES)
    options.set_max_bytes_for_level_base(4 * BUFFER_BYTES)  # as many as begin a compaction: else each rewrites more
    options.set_memtable_whole_key_filtering(True)  # most keys that are looked for in vain are new sagas'
    options.set_memtable_prefix_bloom_ratio(0.02)
    options.set_max_background_jobs(2)
    return options


class RocksStore:
    def __init__(self, path: Path, identity: Identity, *, oldest_ms: int, clock_ms: int) -> None:
        """Wiped when it is damaged, of another cluster or changelog, or was last written before `oldest_ms`."""
        self.path, self._identity, self._clock_ms = path, identity, clock_ms
        self._db: Any = None
        self._scanning = Lock()  # in another thread perhaps: an iterator would outlive its database
        try:
            self._open()
            raw = self._read(META)
        except Damaged as error:
            log.error("store_rebuilt", task=path.name, error=str(error))
            raw = b""
        standing = None if raw is None else self._usable(raw, oldest_ms)
        if raw is not None and standing is None:
            self.wipe()
        self.meta = self._meta(standing)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = rocksdict.Rdict(str(self.path), _options())
        except Exception as error:
            refuse_damage(error, ("Corruption", "No such file"))
            raise
        self._no_wal = rocksdict.WriteOptions()
        self._no_wal.disable_wal = True  # type: ignore[method-assign, assignment]  # a property, whatever the stub says
        self._db.set_write_options(self._no_wal)
        self._unflushed, self._flushed_at = 0, monotonic()

    def _usable(self, raw: bytes, oldest_ms: int) -> Standing | None:
        try:
            found = _decode_standing(raw)
        except msgspec.DecodeError:
            return None
        known = (found.format, found.cluster, found.changelog) == (FORMAT, *self._identity)
        return found if known and found.written_at >= oldest_ms else None

    def _meta(self, found: Standing | None) -> Meta:
        if found is None:
            return Meta()
        cursor = (found.cursor[0], found.cursor[1])
        return Meta(found.offset, found.positions, found.now_ms, cursor, found.marks, found.group, found.expired)

    def wipe(self) -> None:
        with self._scanning:
            self._shut()
            shutil.rmtree(self.path)
            self._open()
            self.meta = Meta()

    def close(self) -> None:
        """What cannot be flushed any more, on a full disk perhaps, is in the changelog."""
        try:
            self._db.flush()
        except Exception as error:  # noqa: BLE001  rocksdict has no type of its own
            log.error("store_not_flushed", task=self.path.name, error=str(error))
        with self._scanning:
            self._shut()

    def _shut(self) -> None:
        """Its files are given back, whatever the last of its flushes says."""
        if self._db is not None:
            with suppress(Exception):
                self._db.close()
            self._db = None

    def get(self, key: bytes) -> bytes | None:
        return self._read(STATE + key)

    def _read(self, key: bytes) -> bytes | None:
        try:
            found: bytes | None = self._db.get(key)
        except Exception as error:
            refuse_damage(error)
            raise
        return found

    def write(self, write: Write) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for due_ms, key in write.gone:
            batch.delete(_timer.pack(TIMER, due_ms) + key)
        for key, value in write.changes:
            if value is None:
                batch.delete(STATE + key)
            else:
                batch.put(STATE + key, value)
                self._unflushed += len(value)
        for due_ms, key in write.entries:
            batch.put(_timer.pack(TIMER, due_ms) + key, b"")
        self._finish(batch, write.meta)

    def _finish(self, batch: Any, meta: Meta) -> None:
        cursor = (meta.cursor[0], meta.cursor[1])
        standing = Standing(
            FORMAT,
            *self._identity,
            max(self._clock_ms, meta.now_ms),
            meta.changelog_offset,
            dict(meta.positions),
            meta.now_ms,
            cursor,
            dict(meta.marks),
            meta.group,
            dict(meta.expired),
        )
        batch.put(META, _encode(standing))
        try:
            self._db.write(batch, self._no_wal)
        except Exception as error:
            refuse_damage(error)
            raise
        self.meta = meta

    def restore(self, rows: Sequence[tuple[bytes, bytes | None]], offset: int) -> None:
        """Changelog rows up to `offset`; index and counts by mark are made from the values' headers."""
        newest, meta = dict(rows), self.meta
        positions, now_ms, group, expired = dict(meta.positions), meta.now_ms, meta.group, meta.expired
        if (told := newest.pop(POSITIONS_KEY, None)) is not None:
            found = decode_positions(told)
            positions, now_ms, group = found.next, max(now_ms, found.now_ms), found.group
            expired = found.expired
        batch, moved = rocksdict.WriteBatch(raw_mode=True), Counter[tuple[int, int]]()
        keys = [STATE + key for key in newest]
        for key, before, value in zip(keys, self._read_all(keys), newest.values(), strict=True):
            if before is not None:  # rows may be applied a second time
                moved[key[1], mark_of(before)] -= 1
            if value is None:
                batch.delete(key)
                continue
            batch.put(key, value)
            moved[key[1], mark_of(value)] += 1
            if due_ms := due_of(value):
                batch.put(_timer.pack(TIMER, due_ms) + key[1:], b"")
        marks = dict(meta.marks)
        for (table, mark), by in moved.items():
            marks[f"{table}:{mark}"] = marks.get(f"{table}:{mark}", 0) + by
        self._finish(batch, Meta(offset, positions, now_ms, marks=marks, group=group, expired=expired))

    def _read_all(self, keys: list[bytes]) -> list[bytes | None]:
        """A third of what as many calls of `get` cost."""
        try:
            found: list[bytes | None] = self._db.get(keys)
        except Exception as error:
            refuse_damage(error)
            raise
        return found

    def flush(self, *, wait: bool = True) -> None:
        self._unflushed, self._flushed_at = 0, monotonic()
        try:
            self._db.flush(wait=wait)
        except Exception as error:
            refuse_damage(error)
            raise

    def flush_if_due(self) -> None:
        """Off the loop: RocksDB writes the files, nobody waits."""
        if self._unflushed > FLUSH_BYTES or monotonic() - self._flushed_at > FLUSH_S:
            self.flush(wait=False)

    def due(self, since: Entry, until_ms: int, limit: int) -> list[Entry]:
        begin = _timer.pack(TIMER, since[0]) + since[1]
        end = _timer.pack(TIMER, until_ms + 1)
        return [(_timer.unpack_from(key)[1], key[9:]) for key, _ in self._walk(begin, end, limit)]

    def scan(self, prefix: bytes, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """From any thread. Raises Closed."""
        end = STATE + prefix[:-1] + bytes([prefix[-1] + 1])
        with self._scanning:
            if self._db is None:
                raise Closed(self.path.name)
            found = [(key[1:], value) for key, value in self._walk(STATE + max(after, prefix), end, limit + 1)]
        return [(key, value) for key, value in found if key > after][:limit]

    def _walk(self, begin: bytes, end: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """The only loop over an iterator: `next` on an invalid one kills the process, one kept alive keeps the LOCK.

        It is invalid at the end and at a damaged block alike: only its status tells them apart.
        """
        bounds = rocksdict.ReadOptions()
        bounds.set_iterate_upper_bound(end)
        cursor, rows = self._db.iter(bounds), 0
        try:
            cursor.seek(begin)
            while cursor.valid() and (limit is None or rows < limit):
                yield cursor.key(), cursor.value()
                rows += 1
                cursor.next()
            cursor.status()
        except Exception as error:
            refuse_damage(error)
            raise
        finally:
            del cursor
