"""Rules S2, S3 and C2 for what a task keeps: the driver's store and the worker's pass the same tests."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from app.engine.group.recovery import STEP_ROWS_BYTES, _steps
from app.engine.state import rocks
from app.engine.state.rocks import Identity, RocksStore
from app.engine.state.store import Entry, MemoryStore, Meta, Store, Write
from app.engine.state.stored import HEADER, POSITIONS_KEY, Positions, encode_positions

HERE = Identity("cluster", "changelog")


def opened(path: Path, identity: Identity = HERE, *, oldest_ms: int = 0, clock_ms: int = 1_000) -> RocksStore:
    return RocksStore(path, identity, oldest_ms=oldest_ms, clock_ms=clock_ms)


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    rocks_store = opened(tmp_path / "task-0")
    yield rocks_store
    rocks_store.close()


def write(
    store: Store,
    changes: Sequence[tuple[bytes, bytes | None]] = (),
    entries: Sequence[Entry] = (),
    gone: Sequence[Entry] = (),
    **meta: Any,
) -> None:
    store.write(Write(changes, entries, gone, Meta(**meta)))


def state(text: str, due_ms: int = 0, mark: int = 0) -> bytes:
    return HEADER.pack(1, mark, due_ms) + text.encode()


def test_the_newest_value_is_read_and_a_deleted_one_is_gone(store: Store) -> None:
    write(store, [(b"\1a", b"old"), (b"\1b", b"b")])
    write(store, [(b"\1a", b"new"), (b"\1b", None)])
    assert (store.get(b"\1a"), store.get(b"\1b"), store.get(b"\1c")) == (b"new", None, None)


def test_meta_is_that_of_the_newest_write(store: Store) -> None:
    said = Meta(7, {"orders": 3}, 5, (2, b"\1k"), {"1:0": 2})
    store.write(Write([], [], [], said))
    assert store.meta == said


def test_c2_entries_come_by_due_then_key_and_none_that_is_later(store: Store) -> None:
    write(store, entries=[(30, b"\1c"), (10, b"\1b"), (10, b"\1a"), (20, b"\1d"), (300, b"\1e")])
    assert store.due((0, b""), 30, 9) == [(10, b"\1a"), (10, b"\1b"), (20, b"\1d"), (30, b"\1c")]
    assert store.due((0, b""), 29, 9) == [(10, b"\1a"), (10, b"\1b"), (20, b"\1d")]
    assert store.due((0, b""), 300, 2) == [(10, b"\1a"), (10, b"\1b")]
    assert store.due((0, b""), 9, 9) == []


def test_c2_the_scan_begins_at_the_cursor(store: Store) -> None:
    write(store, entries=[(10, b"\1a"), (10, b"\1b"), (20, b"\1c")])
    assert store.due((10, b"\1a\0"), 99, 9) == [(10, b"\1b"), (20, b"\1c")]
    assert store.due((10, b"\1b"), 99, 9) == [(10, b"\1b"), (20, b"\1c")]


def test_c2_entries_change_with_the_states_in_one_write(store: Store) -> None:
    write(store, [(b"\1a", b"x")], entries=[(10, b"\1a")])
    write(store, [(b"\1a", b"y")], entries=[(5, b"\1a")], gone=[(10, b"\1a")])
    assert store.due((0, b""), 99, 9) == [(5, b"\1a")]


def test_c2_an_entry_that_is_gone_and_comes_again_stays(store: Store) -> None:
    write(store, entries=[(10, b"\1a")])
    write(store, entries=[(10, b"\1a")], gone=[(10, b"\1a")])
    assert store.due((0, b""), 99, 9) == [(10, b"\1a")]


def test_s2_keys_of_users_meet_neither_those_of_the_engine_nor_of_other_tables(store: Store) -> None:
    names = [b"\1" + raw for raw in (b"M", b"T", b"S", b"", b"\0positions", b"\xff\xff", b"a")]
    write(store, [(name, name) for name in names] + [(b"\2a", b"other")], entries=[(1, b"\1M")], now_ms=4)
    assert [store.get(name) for name in names] == names
    assert store.scan(b"\1", b"\1", 99) == [(name, name) for name in sorted(names) if name != b"\1"]
    assert store.scan(b"\2", b"\2", 99) == [(b"\2a", b"other")]
    assert store.due((0, b""), 1, 9) == [(1, b"\1M")]
    assert store.meta.now_ms == 4


def test_a_scan_goes_on_after_a_key_and_keeps_to_its_prefix(store: Store) -> None:
    write(store, [(b"\1order/%d" % n, b"%d" % n) for n in range(5)] + [(b"\1other/1", b"x"), (b"\1ordes", b"x")])
    assert [key for key, _ in store.scan(b"\1order/", b"\1order/1", 2)] == [b"\1order/2", b"\1order/3"]
    assert [value for _, value in store.scan(b"\1order/", b"", 99)] == [b"0", b"1", b"2", b"3", b"4"]


def test_what_was_closed_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    first = opened(tmp_path / "task-0")
    write(first, [(b"\1a", b"x")], [(10, b"\1a")], changelog_offset=9, positions={"t": 4}, cursor=(3, b"\1"), now_ms=8)
    first.close()
    again = opened(tmp_path / "task-0")
    assert (again.get(b"\1a"), again.due((0, b""), 99, 9)) == (b"x", [(10, b"\1a")])
    assert again.meta == Meta(9, {"t": 4}, 8, (3, b"\1"))
    again.close()


@pytest.mark.parametrize(
    ("identity", "oldest_ms", "kept"),
    [
        (HERE, 0, True),
        (HERE, 2_000, True),
        (HERE, 2_001, False),
        (Identity("another", "changelog"), 0, False),
        (Identity("cluster", "another"), 0, False),
    ],
)
def test_s3_a_store_of_another_log_or_too_old_is_wiped(
    tmp_path: Path, identity: Identity, oldest_ms: int, kept: bool
) -> None:
    first = opened(tmp_path / "task-0", clock_ms=2_000)
    write(first, [(b"\1a", b"x")], changelog_offset=9, now_ms=1_500)
    first.close()
    again = opened(tmp_path / "task-0", identity, oldest_ms=oldest_ms)
    assert (again.get(b"\1a"), again.meta) == ((b"x", Meta(9, now_ms=1_500)) if kept else (None, Meta()))
    again.close()


def test_s3_a_store_of_another_format_is_wiped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rocks, "FORMAT", rocks.FORMAT + 1)
    first = opened(tmp_path / "task-0")
    write(first, [(b"\1a", b"x")])
    first.close()
    monkeypatch.undo()
    again = opened(tmp_path / "task-0")
    assert again.get(b"\1a") is None
    again.close()


def test_c2_a_restore_rebuilds_the_index_and_the_counts(tmp_path: Path) -> None:
    store = opened(tmp_path / "task-0")
    store.restore([(b"\1a", state("a", 10, 1)), (b"\1b", state("b", 0, 1)), (b"\1a", state("a2", 20, 2))], 3)
    assert {(20, b"\1a")} <= set(store.due((0, b""), 99, 9)) <= {(10, b"\1a"), (20, b"\1a")}
    assert {name: n for name, n in store.meta.marks.items() if n} == {"1:1": 1, "1:2": 1}
    store.close()


def test_s4_what_expired_unread_is_kept_until_a_commit_has_counted_it(tmp_path: Path) -> None:
    store = opened(tmp_path / "task-0")
    store.restore([(POSITIONS_KEY, encode_positions(Positions({"t": 5}, 77, "group", 4, {"t": 3})))], 1)
    store.close()
    again = opened(tmp_path / "task-0")
    again.restore([(b"\1a", state("a", 10, 1))], 2)
    assert again.meta.expired == {"t": 3}
    again.restore([(POSITIONS_KEY, encode_positions(Positions({"t": 6}, 78, "group", 4)))], 3)
    assert again.meta.expired == {}
    again.close()


def test_t4_rows_that_are_restored_twice_change_nothing(tmp_path: Path) -> None:
    standing = encode_positions(Positions({"t": 5}, 77, "group", 4))
    rows = [(b"\1a", state("a", 10, 1)), (b"\1b", state("b", 0, 2)), (POSITIONS_KEY, standing), (b"\1a", None)]
    once, twice = opened(tmp_path / "once"), opened(tmp_path / "twice")
    once.restore(rows, 4)
    for offset in (0, 4):
        twice.restore(rows, offset)
    assert once.meta == twice.meta
    assert (twice.meta.changelog_offset, twice.meta.positions, twice.meta.now_ms) == (4, {"t": 5}, 77)
    assert twice.scan(b"\1", b"\1", 9) == [(b"\1b", state("b", 0, 2))]
    once.close()
    twice.close()


def test_t4_a_restore_is_cut_by_bytes_and_only_its_end_moves_the_offset() -> None:
    rows = [(b"\1%d" % n, bytes(STEP_ROWS_BYTES // 2)) for n in range(5)]
    steps = list(_steps([*rows, (b"\1gone", None)], 7, 20))
    assert [(len(part), offset) for part, offset in steps] == [(2, 7), (2, 7), (2, 20)]
    assert [row for part, _ in steps for row in part] == [*rows, (b"\1gone", None)]


def test_s2_a_crash_goes_back_to_the_last_flush_whole(tmp_path: Path) -> None:
    """F2: rows that were restored must not be lost while a later write, with a newer offset, is kept."""
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.unit.test_engine_store import opened, state, write\n"
        "store = opened(Path(sys.argv[1]))\n"
        "store.restore([(b'\\1flushed', state('1'))], 1)\n"
        "store.flush()\n"
        "store.restore([(b'\\1restored', state('2'))], 2)\n"
        "write(store, [(b'\\1written', state('3'))], changelog_offset=3)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, tmp_path / "task-0"], check=False)
    assert died.returncode == -signal.SIGKILL
    store = opened(tmp_path / "task-0")
    assert store.meta.changelog_offset == 1
    assert store.scan(b"\1", b"\1", 9) == [(b"\1flushed", state("1"))]
    store.close()


def test_s2_what_is_not_flushed_yet_is_bounded_in_bytes_and_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the loop does not wait for it."""
    store, waited, now_s = opened(tmp_path / "task-0"), list[bool](), monotonic()
    monkeypatch.setattr(store, "flush", lambda *, wait=True: waited.append(wait))
    monkeypatch.setattr(rocks, "monotonic", lambda: now_s)
    write(store, [(b"\1a", bytes(1_000))])
    store.flush_if_due()
    assert waited == []
    now_s += 61
    store.flush_if_due()
    assert waited == [False]
    now_s -= 61
    write(store, [(b"\1a", bytes(32 << 20))])
    store.flush_if_due()
    assert waited == [False, False]
    monkeypatch.undo()
    store.close()


def test_s2_a_closed_store_gives_its_lock_back_after_every_kind_of_loop(tmp_path: Path) -> None:
    store = opened(tmp_path / "task-0")
    write(store, [(b"\1a", b"x"), (b"\1b", b"x")], entries=[(1, b"\1a"), (2, b"\1b")])
    store.due((0, b""), 9, 1)
    store.due((0, b""), 9, 9)
    store.scan(b"\1", b"", 1)
    store.due((99, b""), 1, 9)
    store.close()
    opened(tmp_path / "task-0").close()


def test_s2_only_one_place_walks_an_iterator() -> None:
    """`next` on an iterator that is not valid kills the process, so that `_walk` is the only one to call it."""
    source = Path(rocks.__file__).read_text()
    assert source.count(".next()") == 1
    assert source.count(".iter(") == 1
