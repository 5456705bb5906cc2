"""Local state that is gone, damaged, old, another task's, or has no room: rebuilt from the changelog, or a stop."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rocksdict

from app.engine.state.rocks import _options
from tests.faults.kept import FAILED, kept
from tests.faults.oracle import expected
from tests.faults.schedule import schedule
from tests.faults.schedules.kills import pause
from tests.faults.trial import Trial
from tests.support.accounts import names_on
from tests.support.damage import flip
from tests.support.toy import Addition
from tests.support.workers import PARTITIONS, Process

Damage = Callable[[Path, random.Random], None]
REBUILT = "store_rebuilt"
ROOM = "4m"
LATER_MS = 7_200_000  # beyond the hour that the oracle plays
TOLD = ("LOG", "LOCK", "IDENTITY", "OPTIONS", "rocksdict")  # nothing of a store hangs on them


def stores(trial: Trial) -> list[Path]:
    return sorted((trial.workers.data / "0" / "stores").iterdir())


def kept_files(store: Path) -> list[Path]:
    return sorted(file for file in store.iterdir() if file.stat().st_size and not file.name.startswith(TOLD))


def flip_any(file: Path, dice: random.Random) -> None:
    flip(file, dice.randrange(file.stat().st_size), dice.randrange(8))


def rebuilt(trial: Trial) -> int:
    return sum(len(worker.events(REBUILT)) for worker in trial.workers.all)


def fill(trial: Trial) -> None:
    """So many accounts that a store has blocks which nothing reads at the start, and timers for a later day."""
    names = [name for number in range(PARTITIONS) for name in names_on(number, trial.times(2_000, 700), "filler")]
    trial.write(trial.scenario.add(*(Addition(name, 1, LATER_MS) for name in names)))
    sums = trial.scenario.row.sums.name
    trial.kafka.read_until(sums, lambda found: set(names) <= {record.key for record in found}, within_s=60)


def damage_each_time(trial: Trial, times: int, damage: Callable[[list[Path]], None]) -> None:
    """Between a stop, or a kill, and the next start; records wait when it begins, and meet every account again."""
    worker = trial.ready()
    fill(trial)
    for turn in range(times):
        with trial.load():
            pause(trial, 2)
            worker.kill() if turn % 3 == 2 else worker.stop()
            damage(stores(trial))
            worker = trial.ready()
            pause(trial, 2)
    fill(trial)
    settle_read(trial)


@schedule(bound_s=900)
def stores_deleted(trial: Trial) -> None:
    """Between a worker's runs, 12 times, its stores are deleted: all of them, one, or one's files but for a few."""

    def delete(found: list[Path]) -> None:
        how = trial.dice.randrange(3)
        for store in found if how == 0 else trial.dice.sample(found, 1):
            if how < 2:
                shutil.rmtree(store)
            else:
                for file in trial.dice.sample(kept_files(store), 2):
                    file.unlink()

    damage_each_time(trial, trial.times(12, 3), delete)


@schedule(bound_s=900)
def stores_truncated(trial: Trial) -> None:
    """Between a worker's runs, 12 times, a file of each store (SST, MANIFEST, CURRENT) is cut short."""

    def truncate(found: list[Path]) -> None:
        for store in found:
            file = trial.dice.choice(kept_files(store))
            with file.open("r+b") as content:
                content.truncate(trial.dice.randrange(file.stat().st_size))

    damage_each_time(trial, trial.times(12, 2), truncate)
    assert rebuilt(trial), "no worker has met what was cut off"


@schedule(bound_s=900)
def bytes_flipped_in_stores(trial: Trial) -> None:
    """Between a worker's runs, 12 times, a bit of each store's files is flipped; good records never pay for it."""

    def flip_one(found: list[Path]) -> None:
        for store in found:
            flip_any(trial.dice.choice(kept_files(store)), trial.dice)

    damage_each_time(trial, trial.times(12, 2), flip_one)
    assert rebuilt(trial), "no worker has met a flip"


@schedule(bound_s=900)
def bytes_flipped_under_a_worker(trial: Trial) -> None:
    """Under load, 10 times, bits are flipped in the files of a worker that has no cache: it rebuilds, or restarts."""
    worker = trial.ready()
    fill(trial)
    worker.stop()
    with kept(trial, cache_bytes=1):
        for _ in range(trial.times(10, 2)):
            with trial.load():
                pause(trial, 2)
                for file in (file for store in stores(trial) for file in store.glob("*.sst")):
                    flip_any(file, trial.dice)
                pause(trial, 2)
            fill(trial)
    settle_read(trial)


def settle_read(trial: Trial) -> None:
    """What nothing has read yet is no fault of the engine: such stores are left out of the comparison."""
    trial.until_out(expected(trial.scenario), 90)
    trial.stop()
    unread = [store for store in stores(trial) if not whole(store)]
    for store in unread:
        shutil.rmtree(store)
    trial.settle()
    trial.remark(f"{rebuilt(trial)} stores rebuilt, {len(unread)} with flips that nothing had read")


def whole(store: Path) -> bool:
    try:
        walk(store)
    except Exception as error:
        if "Corruption" in str(error):
            return False
        raise
    return True


def walk(store: Path) -> None:
    opened = rocksdict.Rdict(str(store), _options(), access_type=rocksdict.AccessType.read_only())
    cursor = opened.iter()
    try:
        cursor.seek_to_first()
        while cursor.valid():
            cursor.next()
        cursor.status()
    finally:
        del cursor
        opened.close()


@schedule(bound_s=900)
def stores_of_an_older_time(trial: Trial) -> None:
    """A copy of all stores, or of one, from up to 4 runs ago is put back before a worker's next run, 10 times."""
    copies: list[Path] = []

    def put_back(found: list[Path]) -> None:
        copies.append(trial.directory / "copies" / str(len(copies)))
        shutil.copytree(trial.workers.data / "0" / "stores", copies[-1])
        older = trial.dice.choice(copies[-4:])
        for store in trial.dice.sample(found, trial.dice.choice((1, len(found)))):
            if (older / store.name).exists():
                shutil.rmtree(store)
                shutil.copytree(older / store.name, store)

    damage_each_time(trial, trial.times(10, 3), put_back)


@schedule(bound_s=900)
def stores_of_other_partitions(trial: Trial) -> None:
    """Between a worker's runs, 8 times, all stores change their names at random: none is taken for another's."""

    def swap(found: list[Path]) -> None:
        aside = [store.rename(store.with_name(f"aside-{store.name}")) for store in found]
        for store, name in zip(aside, trial.dice.sample(found, len(found)), strict=True):
            store.rename(name)

    damage_each_time(trial, trial.times(8, 2), swap)


@contextmanager
def small_disk(at: Path) -> Iterator[bool]:
    """Whether it could be made: it takes the right to mount."""
    at.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(at)], check=False, timeout=10)
    try:
        yield made.returncode == 0
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", "--lazy", str(at)], check=True, timeout=10)


def fill_up(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return filler
    return filler


@schedule(bound_s=900)
def disk_full(trial: Trial) -> None:
    """A worker's disk of 4 MB is filled up, 4 times: killed, it stops at its next start with code 4 and says that there
    is no space; once there is some it goes on. Where nothing can be mounted, by a store that raises at each write.
    """
    trial.ready(data="elsewhere", leave=True).stop()
    with small_disk(trial.directory / "small") as made:
        if not made:
            trial.write(trial.scenario.more(400))
            trial.remark("no right to mount: by a store that raises")
            assert_starved(trial.start(sabotage="disk"))
        else:
            worker = trial.ready(data="small")
            for _ in range(trial.times(4, 1)):
                trial.write(trial.scenario.more(400))
                filler = fill_up(trial.directory / "small")
                with trial.load():
                    pause(trial, 2)
                worker.kill()
                assert_starved(trial.start(data="small"))
                filler.unlink()
                worker = trial.ready(data="small")
        trial.settle()


def assert_starved(worker: Process) -> None:
    assert worker.wait(60) == FAILED, worker.tail()
    said = str(worker.events("worker_failed")[-1]["error"])
    assert "No space left on device" in said, said
