"""Rules R3 and S2: whatever becomes of a store's files, it is never silently wrong."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import rocksdict

from app.engine.state.rocks import Damaged, RocksStore
from app.engine.state.store import Meta
from app.engine.state.stored import due_of
from tests.support.damage import flip
from tests.unit.test_engine_store import opened, state, write

KEYS = [b"\1key-%03d" % n for n in range(400)]
EVERY_TIMER = (0, b""), 1 << 40, 1 << 20
TOLD = {"LOG", "LOCK"}  # nothing of them is read

States = dict[bytes, bytes]
Damage = Callable[[Path, random.Random], None]


class Made(NamedTuple):
    """A closed store, and the states at each offset that it was flushed at; at 0 it is empty."""

    path: Path
    at: dict[int, States]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Several files, one of them from a compaction; values that do not compress."""
    path, dice, states, at = tmp_path_factory.mktemp("damage") / "task-0", random.Random(7), States(), {0: States()}
    store = opened(path)
    for offset in range(1, 6):
        fresh = {key: state(dice.randbytes(40).hex(), dice.randrange(1, 1 << 30)) for key in dice.sample(KEYS, 200)}
        write(
            store, list(fresh.items()), [(due_of(value), key) for key, value in fresh.items()], changelog_offset=offset
        )
        states |= fresh
        store.flush()
        if offset == 3:
            store._db.compact_range(None, None)
        at[offset] = dict(states)
    store.close()
    return Made(path, at)


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.path, tmp_path / "task-0"))


def files(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.stat().st_size and file.name not in TOLD)


def flip_any(file: Path, dice: random.Random) -> None:
    flip(file, dice.randrange(file.stat().st_size), dice.randrange(8))


def truncate(file: Path, dice: random.Random) -> None:
    with file.open("r+b") as opened_file:
        opened_file.truncate(dice.randrange(file.stat().st_size))


def delete(file: Path, _dice: random.Random) -> None:
    file.unlink()


def assert_right_or_damaged(store: RocksStore, made: Made) -> None:
    """Every way of reading tells the truth of where the store stands, or raises Damaged."""
    states = made.at[store.meta.changelog_offset]
    with suppress(Damaged):
        assert {key: store.get(key) for key in KEYS} == {key: states.get(key) for key in KEYS}
    with suppress(Damaged):
        assert store._read_all([b"S" + key for key in KEYS]) == [states.get(key) for key in KEYS]
    with suppress(Damaged):
        assert dict(store.scan(b"\1", b"", 1 << 20)) == states
    with suppress(Damaged):
        assert {(due_of(value), key) for key, value in states.items()} <= set(store.due(*EVERY_TIMER))


@pytest.mark.parametrize(("damage", "times"), [(flip_any, 30), (truncate, 20), (delete, 8)])
def test_r3_a_damaged_store_says_so_or_is_right(made: Made, tmp_path: Path, damage: Damage, times: int) -> None:
    dice, copy = random.Random(11), tmp_path / "task-0"
    for _ in range(times):
        shutil.copytree(made.path, copy)
        damage(dice.choice(files(copy)), dice)
        store = opened(copy)
        assert_right_or_damaged(store, made)
        store.close()
        shutil.rmtree(copy)


def test_r3_a_walk_that_ends_at_a_damaged_block_is_not_at_its_end(copy: Path, made: Made) -> None:
    """RocksDB's iterator only becomes invalid: timers and sagas behind the block would be passed over in silence."""
    largest = max(files(copy), key=lambda file: file.stat().st_size)
    flip(largest, largest.stat().st_size // 2)
    store = opened(copy)
    assert store.meta.changelog_offset == max(made.at)
    found = []
    for read in (lambda: store.scan(b"\1", b"", 1 << 20), lambda: store.due(*EVERY_TIMER)):
        try:
            read()
        except Damaged as error:
            found.append(str(error))
    assert found
    assert all("Corruption" in said and largest.name in said for said in found)
    store.wipe()
    assert (store.meta, store.get(KEYS[0])) == (Meta(), None), "nothing may hold the lock"
    store.close()


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST", ".sst"])
def test_s2_a_store_that_does_not_open_begins_anew(copy: Path, name: str) -> None:
    next(file for file in files(copy) if name in file.name).write_bytes(b"")
    store = opened(copy)
    assert (store.meta, [store.get(key) for key in KEYS if store.get(key)]) == (Meta(), [])
    write(store, [(KEYS[0], b"x")], changelog_offset=7)
    store.close()
    again = opened(copy)
    assert (again.get(KEYS[0]), again.meta.changelog_offset) == (b"x", 7)
    again.close()


def test_s2_a_store_that_another_process_holds_is_left_alone(copy: Path, made: Made) -> None:
    first = opened(copy)
    with pytest.raises(Exception, match="lock"):
        opened(copy)
    first.close()
    again = opened(copy)
    assert again.meta.changelog_offset == max(made.at)
    again.close()


class Failing:
    """A database whose disk is full, or whose files are damaged: rocksdict raises plain exceptions."""

    def __init__(self, real: rocksdict.Rdict, says: str) -> None:
        self._real, self._error = real, Exception(says)

    def flush(self, **_: object) -> None:
        raise self._error

    def write(self, *_: object) -> None:
        raise self._error

    def close(self) -> None:
        self._real.close()
        raise self._error


@pytest.fixture
def failing(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RocksStore]:
    store = opened(tmp_path / "task-0")
    write(store, [(KEYS[0], b"x")], changelog_offset=1)
    store._db.flush()
    store._db = Failing(store._db, request.param)
    yield store
    opened(tmp_path / "task-0").close()


@pytest.mark.parametrize("failing", ["Corruption: block checksum mismatch"], indirect=True)
def test_r3_a_store_that_cannot_be_written_for_damage_says_so(failing: RocksStore) -> None:
    with pytest.raises(Damaged, match="checksum"):
        write(failing, [(KEYS[1], b"x")])
    with pytest.raises(Damaged, match="checksum"):
        failing.flush()
    failing.wipe()
    assert failing.meta == Meta()
    failing.close()


@pytest.mark.parametrize("failing", ["IO error: No space left on device"], indirect=True)
def test_s2_a_full_disk_stops_a_write_and_no_close(failing: RocksStore) -> None:
    """It is no damage: nothing is rebuilt, and what the disk does not take is in the changelog."""
    with pytest.raises(Exception, match="No space left") as error:
        write(failing, [(KEYS[1], b"x")])
    assert type(error.value) is not Damaged
    failing.close()
