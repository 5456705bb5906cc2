"""What a worker finds when it opens its tasks again: rules R3, S1 to S4, S6 and T4."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import msgspec
import rocksdict

from app.engine.state.rocks import STATE, _options
from tests.support.accounts import Accounts, names_on
from tests.support.damage import flip
from tests.support.kafka import wait_for
from tests.support.toy import Addition
from tests.support.workers import Process

ACCOUNTS = [f"a-{n}" for n in range(20)]


def stores(row: Accounts, data: str = "data") -> Path:
    return row.workers.directory / data / "0" / "stores"


def refusal(worker: Process, code: int = 1) -> str:
    assert worker.wait(30) == code
    (said,) = worker.events("worker_failed")
    return str(said["error"])


def additions(times: int = 5) -> list[Addition]:
    return [Addition(account, 1) for account in ACCOUNTS] * times


def test_s2_deleted_and_damaged_stores_are_restored_from_the_changelog(toy_row: Accounts) -> None:
    """R3: a state that does not decode rebuilds its store once. Then the same without any local state."""
    worker = toy_row.workers.ready()
    toy_row.add(*additions())
    toy_row.until_summed()
    assert worker.stop() == 0

    victim = names_on(2, 1)[0]
    assert victim in ACCOUNTS
    store = rocksdict.Rdict(str(stores(toy_row) / f"{toy_row.row}-2"), _options())
    store[STATE + b"\1" + victim.encode()] = b"\1\0" + bytes(8) + b"\xc1"
    store.close()
    damaged = toy_row.workers.ready()
    toy_row.add(*additions(1))
    toy_row.until_summed()
    (rebuilt,) = damaged.events("store_rebuilt")
    named = ("table accounts", "format 1", victim, f"{toy_row.additions}/2 at ")
    assert all(word in rebuilt["error"] for word in named)
    damaged.kill()

    shutil.rmtree(stores(toy_row))
    restored = toy_row.workers.ready()
    assert sum(event["restored"] for event in restored.events("task_ready")) > 0
    toy_row.add(*additions(1))
    toy_row.until_summed()
    assert restored.stop() == 0
    toy_row.assert_exact()


def test_r3_a_corrupt_block_rebuilds_its_store_and_no_record_is_a_dead_letter(toy_row: Accounts) -> None:
    """The start does not read it: it is found by the first record that needs it."""
    many = names_on(2, 3_000)
    worker = toy_row.workers.ready()
    toy_row.add(*[Addition(account, 1, 6_000_000) for account in many])
    toy_row.add(Addition(many[-1], 1, 6_000_000))
    toy_row.until_summed()
    assert worker.stop() == 0
    (largest,) = (stores(toy_row) / f"{toy_row.row}-2").glob("*.sst")
    flip(largest, largest.stat().st_size // 3)
    damaged = toy_row.workers.ready()
    assert damaged.events("store_rebuilt") == []
    toy_row.add(*[Addition(account, 1) for account in many])
    toy_row.until_summed()
    (rebuilt,) = damaged.events("store_rebuilt")
    assert "Corruption: block checksum mismatch" in rebuilt["error"]
    assert rebuilt["task"] == f"{toy_row.row}-2"
    assert damaged.stop() == 0
    assert toy_row.kafka.read_all(toy_row.dead_letters) == []
    toy_row.assert_exact()


def test_s3_a_store_of_another_partition_is_not_taken_for_this_one(toy_row: Accounts) -> None:
    worker = toy_row.workers.ready()
    toy_row.add(*additions())
    toy_row.until_summed()
    assert worker.stop() == 0
    one, two, aside = (stores(toy_row) / name for name in (f"{toy_row.row}-1", f"{toy_row.row}-2", "aside"))
    one.rename(aside)
    two.rename(one)
    aside.rename(two)
    swapped = toy_row.workers.ready()
    restored = {event["task"]: event["restored"] for event in swapped.events("task_ready")}
    assert {task for task, rows in restored.items() if rows} == {one.name, two.name}
    toy_row.add(*additions())
    toy_row.until_summed()
    assert swapped.stop() == 0
    toy_row.assert_exact()


def test_s4_a_position_that_was_changed_from_outside_is_refused(toy_row: Accounts) -> None:
    kafka, topic = toy_row.kafka, toy_row.additions
    toy_row.workers.plan["session_s"] = 2.0
    worker = toy_row.workers.ready(leave=True)
    toy_row.add(*additions())
    toy_row.until_summed()
    assert worker.stop() == 0
    true = {number: offset for (_, number), offset in kafka.committed(toy_row.group).items()}
    for changed in (true[1] - 2, true[1] + 2):
        toy_row.reset_group({1: changed})
        said = refusal(toy_row.workers.start(leave=True))
        assert topic in said
        assert f"position is {changed}" in said
        assert f"has {true[1]}" in said
        wait_for(lambda: kafka.idle(toy_row.group), "the group to be empty")
    kafka.forget_group(toy_row.group)
    going_on = toy_row.workers.ready(leave=True)
    toy_row.add(*additions())
    toy_row.until_summed()
    assert going_on.stop() == 0
    toy_row.assert_exact()

    (account,) = names_on(1, 1)
    toy_row.add(*[Addition(account, 1)] * 9)
    kafka.cut(topic, {1: kafka.end_offsets(topic)[1] - 3})
    assert f"6 records from {true[1] * 2} on are gone" in refusal(toy_row.workers.start(leave=True))


def test_s4_a_position_that_is_lost_while_running_stops_the_worker(toy_row: Accounts) -> None:
    """aiokafka alone would go on elsewhere, in silence."""
    worker = toy_row.workers.ready(session_s=30.0)
    toy_row.add(*additions(1))
    toy_row.until_summed()
    worker.signal(signal.SIGSTOP)
    (account,) = names_on(1, 1)
    toy_row.add(Addition(account, 1))  # answers the fetch that waits at the broker
    toy_row.add(*[Addition(account, 1)] * 9)
    end = toy_row.kafka.end_offsets(toy_row.additions)[1]
    toy_row.kafka.cut(toy_row.additions, {1: end})
    worker.signal(signal.SIGCONT)
    assert "OffsetOutOfRange" in refusal(worker, 4)
    assert "records from" in refusal(toy_row.workers.start())


def test_s1_a_worker_that_meets_a_newer_format_stops(toy_row: Accounts) -> None:
    newer = toy_row.workers.ready(stored_format=2)
    toy_row.add(Addition("a-1", 1))
    toy_row.until_summed()
    assert newer.stop() == 0
    older = toy_row.workers.ready()
    toy_row.add(Addition("a-1", 1))
    said = refusal(older)
    assert "table accounts: format 2, and 1 is the newest known" in said
    assert "a-1" in said
    assert older.events("store_rebuilt") == [], "the changelog would say the same"
    assert len(toy_row.kafka.read_all(toy_row.sums_topic)) == 1


def test_t4_a_task_whose_restore_takes_long_holds_no_other(toy_row: Accounts) -> None:
    """And S6: it waits for an open transaction in its changelog, and reads on when that has ended."""
    first = toy_row.workers.ready()
    toy_row.add(*additions())
    toy_row.until_summed()
    assert first.stop() == 0
    shutil.rmtree(stores(toy_row) / f"{toy_row.row}-2")
    with toy_row.open_transaction() as producer:
        producer.produce(toy_row.changelog, partition=2, key=b"\1a-hidden", value=b"")
        producer.flush(10)
        worker = toy_row.workers.ready(tasks=3)
        warm = [account for number in (0, 1, 3) for account in names_on(number, 2)]
        toy_row.add(*[Addition(account, 1) for account in warm])
        toy_row.until_summed()
        (cold,) = names_on(2, 1)
        toy_row.add(Addition(cold, 1))
        assert f"{toy_row.row}-2" not in {event["task"] for event in worker.events("task_ready")}
    toy_row.until_summed()
    assert worker.stop() == 0
    toy_row.assert_exact()


def test_s6_another_host_waits_for_the_transaction_that_a_dead_one_left_open(toy_row: Accounts) -> None:
    """T3's order, InitProducerId, stable positions, changelog: the other order would lose states."""
    dead = toy_row.workers.ready(leave=True, data="one")
    toy_row.add(*additions())
    toy_row.until_summed()
    dead.stop()
    doomed = toy_row.workers.ready(data="one", fault="kill@before_end")
    toy_row.add(*additions())
    assert doomed.wait() == -9
    heir = toy_row.workers.ready(data="two")
    toy_row.add(*additions(1))
    toy_row.until_summed()
    assert heir.stop() == 0
    toy_row.assert_exact()


def test_s3_a_store_that_is_ahead_of_its_changelog_begins_anew(toy_row: Accounts) -> None:
    worker = toy_row.workers.ready()
    toy_row.add(*additions())
    toy_row.until_summed()
    assert worker.stop() == 0
    for path in stores(toy_row).iterdir():
        ahead(path)
    again = toy_row.workers.ready()
    toy_row.add(*additions(1))
    toy_row.until_summed()
    assert again.stop() == 0
    toy_row.assert_exact()


def ahead(path: Path) -> None:
    """Its meta says that it has read far beyond the log's end, and its states are those of nobody."""
    store = rocksdict.Rdict(str(path), _options())
    raw = store.get(b"M")
    assert isinstance(raw, bytes)
    meta = msgspec.msgpack.decode(raw)
    meta[4] = 1_000_000
    store[b"M"] = msgspec.msgpack.encode(meta)
    for key in list(store.keys()):
        if isinstance(key, bytes) and key.startswith(STATE):
            del store[key]
    store.close()
