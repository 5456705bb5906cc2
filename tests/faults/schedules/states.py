"""Disks, deploys and clients that are not what the worker expects."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import msgspec
import rocksdict

from app.engine.state.rocks import META, Standing, _options
from app.wire.topics import changelog
from tests.faults.load import Writer
from tests.faults.scenario import Sent, encoded
from tests.faults.schedule import schedule
from tests.faults.schedules.kills import pause
from tests.faults.stores import rows_of
from tests.faults.trial import Trial
from tests.support.kafka import Written, wait_for
from tests.support.toy import Addition, Limit

FOUR_DAYS_MS = 4 * 86_400_000
REFUSED = 1


@schedule(bound_s=400)
def disk_older_than_a_tombstone(trial: Trial) -> None:
    """A host comes back with a disk of four days ago, and the tombstones of what is on it were compacted away (S3)."""
    row = trial.scenario.row
    log = changelog(row.processor.row).name
    trial.kafka.create(
        log,
        cleanup_policy="compact",
        delete_retention_ms="0",
        segment_ms="200",
        min_cleanable_dirty_ratio="0.01",
        max_compaction_lag_ms="500",
    )
    names = [f"gone-{n}" for n in range(40)]
    old = trial.ready(data="old", leave=True)
    trial.write(trial.scenario.add(*(Addition(name, 7) for name in names)))
    trial.write(trial.scenario.more(200))
    wait_for(lambda: len(trial.kafka.read_all(row.sums.name)) > 100, "sums", 90)
    old.stop()
    new = trial.ready(data="new", leave=True)
    trial.write(trial.scenario.add(*(Addition(name, act="delete") for name in names)))
    wait_for(partial(forgotten, trial, log, names), "the tombstones to be compacted away", 300)
    new.stop()
    shutil.rmtree(trial.directory / "new")
    for store in (trial.directory / "old" / "0" / "stores").iterdir():
        age(store)
    trial.kafka.configure(log, min_cleanable_dirty_ratio="1.0", max_compaction_lag_ms=str(2**62))
    trial.ready(data="old", leave=True)
    trial.write(trial.scenario.add(*(Addition(name, 1) for name in names)))
    trial.settle()


def forgotten(trial: Trial, log: str, names: list[str]) -> bool:
    """Other accounts' rows close the segments; the broker cleans every 15 s; tombstones go the second time."""
    trial.write(trial.scenario.add(*(Addition(f"other-{n}", 1) for n in range(20))))
    pause(trial, 2)
    keys = {row.key[1:] for rows in rows_of(trial.kafka, log).values() for row in rows}
    return not keys & {name.encode() for name in names}


def age(path: Path) -> None:
    store = rocksdict.Rdict(str(path), _options())
    raw = store.get(META)
    assert isinstance(raw, bytes)
    standing = msgspec.msgpack.decode(raw, type=Standing)
    older = msgspec.structs.replace(standing, written_at=standing.written_at - FOUR_DAYS_MS)
    store[META] = msgspec.msgpack.encode(older)
    store.close()


@schedule(bound_s=180)
def definitions_not_yet_seen(trial: Trial) -> None:
    """300 times a definition is published and needed in the same moment, with two kills: none is refused (R5)."""
    limits = trial.scenario.notes.limits.topic
    assert limits is not None
    worker, writer = trial.ready(), Writer(trial.brokers.bootstrap)
    for number in range(trial.times(300, 30)):
        name = f"defined-{number}"
        sent = [
            Sent(limits.name, Written(name, encoded(Limit(100)))),
            Sent(trial.scenario.notes.notes.name, Written(name, encoded(Addition(name, 5)))),
        ]
        for one in sent:
            writer.write([one])
        trial.scenario.seen(*sent)
        if number in (10, 20):
            worker.kill()
            worker = trial.start()
    trial.settle()


@schedule(bound_s=180)
def deploys_that_cannot_read_states(trial: Trial) -> None:
    """A version that misreads stored states stops with code 1 and names table, key and offset; no good record becomes a
    dead letter; the right version goes on (R3).
    """
    trial.ready()
    names = [f"kept-{n}" for n in range(20)]
    trial.write(trial.scenario.add(*(Addition(name, 1) for name in names)))
    trial.write(trial.scenario.more(300))
    wait_for(lambda: len(trial.kafka.read_all(trial.scenario.row.sums.name)) > 150, "sums", 90)
    trial.stop()
    trial.write(trial.scenario.add(*(Addition(name, 1) for name in names)))
    bad = trial.start(misread=True)
    assert bad.wait(60) == REFUSED
    said = str(bad.events("worker_failed")[0]["error"])
    assert all(
        word in said for word in ("table accounts", "format 1", "key ", f"{trial.scenario.row.additions.name}/")
    ), said
    assert bad.events("store_rebuilt"), "the changelog might have helped"
    trial.ready()
    trial.settle()


@schedule(bound_s=180)
def clients_with_another_partitioner(trial: Trial) -> None:
    """All clients place keys by CRC32, librdkafka's default: each is sent on once, in order, over kills (R1)."""
    trial.ready()
    writer = Writer(trial.brokers.bootstrap, settings={"partitioner": "consistent_random"})
    for turn in range(trial.times(20, 4)):
        acts = ("add", "add", "add", "refuse", "delete")  # what does not decode is not sent on: its letter comes first
        made = [Addition(f"a-{trial.dice.randrange(100)}", 1, act=trial.dice.choice(acts)) for _ in range(200)]
        writer.write(trial.scenario.add(*made))
        if turn % 7 == 3:
            trial.alive[0].kill()
            trial.start()
    trial.settle()
