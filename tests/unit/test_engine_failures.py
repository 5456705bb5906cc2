"""What becomes of records that fail, and of states that cannot be read: rules R2, R3, R7 and S1, without a broker."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import pytest

from app.engine.broker.limits import Limits
from app.engine.driver import EPOCH_MS, Sent
from app.engine.processor import Out, Processor, Record, Table
from app.engine.state.store import MemoryStore
from app.engine.state.stored import Codec, NewerFormat, Unreadable
from app.engine.tasks.lane import Encoded, Runtime, UnknownTopic
from app.engine.tasks.task import Rewind, Task
from app.engine.topology import build
from app.wire.partition import partition
from app.wire.topics import Topic
from tests.support.one_task import TOY, A, B, Bench, driver, letters, records, sums
from tests.support.toy import Account, Addition, Json, Sum

BAD_ACTS = ("refuse", "break", "unstorable")


def test_r2_what_fails_is_a_dead_letter_and_all_else_goes_on() -> None:
    run = driver()
    for n, act in enumerate(["add", "refuse", "add", "break", "add", "unstorable", "add"]):
        run.send(TOY.additions, "a", Addition("a", 10**n, act=act))
    run.send(TOY.additions, "a", b"no json")
    run.send(TOY.additions, "a", None)
    run.send(TOY.additions, "a", Addition("a", 10**7))
    assert [value.total for _, value in sums(run)] == [1, 101, 10_101, 1_010_101, 11_010_101]
    assert letters(run) == [
        (b"a", "invalid", 1),
        (b"a", "bug", 2),
        (b"a", "bug", 2),
        (b"a", "undecodable", 1),
        (b"a", "undecodable", 1),
    ]
    assert [letter.partition for letter in run.dead(TOY.additions)] == [partition(b"a", 4)] * 5


def test_r7_a_dead_letter_is_on_the_partition_of_its_source_modulo_n() -> None:
    name, letters_ = TOY.additions.name, list[Encoded]()
    counts = {name: 6, f"iopt.dlq.{name}": 4}
    runtime = Runtime(counts, lambda out, _: letters_.append(out), {}, lambda *_, **__: None, lambda: EPOCH_MS)
    (sub,) = build([TOY.processor], {}).values()
    for number in range(6):
        task = Task(sub, number, MemoryStore(), runtime, 1 << 20)
        task.start({name: 0})
        task.process(name, [Sent(0, EPOCH_MS, b"a", b"no json")], 0, EPOCH_MS, inf)
    assert [(out.topic, out.partition) for out in letters_] == [(f"iopt.dlq.{name}", n) for n in (0, 1, 2, 3, 0, 1)]


def test_r2_careful_mode_decides_the_same() -> None:
    plain, careful = driver(), driver(careful=True)
    for run in (plain, careful):
        for n in range(60):
            act = BAD_ACTS[n // 3 % 3] if n % 3 == 2 else "add"
            run.send(TOY.additions, f"k-{n % 5}", Addition(f"k-{n % 5}", n, 100 * n, act))
        run.advance("10s")
    assert sums(plain) == sums(careful)
    assert plain.outputs(TOY.alarms) == careful.outputs(TOY.alarms)
    assert letters(plain) == letters(careful)
    assert plain.table(TOY.accounts) == careful.table(TOY.accounts)


def test_r2_a_bug_sends_nothing_and_only_the_second_time_it_is_a_dead_letter() -> None:
    bench = Bench()
    given = records([Addition(A, 1), Addition(A, 1, act="break"), Addition(A, 1)])
    with pytest.raises(Rewind, match="bug"):
        bench.process(given)
    assert bench.rewind() == 0
    assert bench.process(given) == 3
    bench.commit()
    assert bench.task.read(1, A.encode()) == Account(2, 2)
    assert [out.topic for out in bench.sent] == ["unit.sums", "iopt.dlq.unit.additions", "unit.sums"]


def test_r2_a_bug_in_the_first_record_ever_is_survived() -> None:
    bench = Bench()
    given = records([Addition(A, 1, act="break"), Addition(A, 1)], first=7)
    bench.task.start({bench.topic: 7})
    with pytest.raises(Rewind):
        bench.process(given)
    assert bench.rewind() == 7
    bench.process(given)
    assert bench.task.positions == {bench.topic: 9}


def test_r2_care_is_taken_up_to_the_culprit_however_the_stretch_is_cut() -> None:
    """A culprit far into a chunk must be met with care at the second time, not at the third or tenth."""
    bench = Bench()
    given = records([Addition(A, 1)] * 500 + [Addition(A, 1, act="break")] + [Addition(A, 1)] * 99)
    with pytest.raises(Rewind):
        bench.process(given)
    at = bench.rewind()
    while at < 600:
        at = bench.process(given, at, seconds=0)
    assert not bench.task.careful
    assert sum(count for (_, fate, _), count in bench.task.fates.items() if fate == "dead-lettered") == 1


def test_r2_a_state_that_cannot_be_stored_is_pinned_on_its_record() -> None:
    bench = Bench()
    given = records([Addition(A, 1), Addition(B, 1, act="unstorable"), Addition(A, 1)])
    bench.process(given)
    with pytest.raises(Rewind, match="state-encode"):
        bench.task.snapshot()
    bench.rewind()
    bench.process(given)
    assert {key: value is None for key, value in bench.commit().changes} == {b"\1" + A.encode(): False}
    assert [out.topic for out in bench.sent if "dlq" in out.topic] == ["iopt.dlq.unit.additions"]


def test_r2_careful_mode_ends_with_the_stretch_but_stays_while_more_than_one_in_twenty_fails() -> None:
    bench = Bench()
    given = records([Addition(A, 1, act="break")] + [Addition(A, 1)] * 40)
    with pytest.raises(Rewind):
        bench.process(given)
    bench.rewind()
    bench.process(given)
    assert not bench.task.careful
    given = records([Addition(A, 1, act="break")] * 3 + [Addition(A, 1)] * 40, first=41)
    with pytest.raises(Rewind):
        bench.process(given)
    bench.rewind()
    bench.process(given)
    assert bench.task.careful


def test_r2_an_idle_topic_does_not_keep_the_task_careful() -> None:
    """Care ends where the stretch ends, and a topic of which nothing was read has no stretch."""
    other = Topic("unit.more", Json(Addition), key_of=lambda addition: addition.account)
    processor = Processor(TOY.processor.run, (TOY.additions, other), TOY.accounts, (), "two", timers=True)
    bench = Bench(processor)
    bench.task.start({TOY.additions.name: 0, other.name: 5})
    given = records([Addition(A, 1, act="break"), *[Addition(A, 1)] * 30])
    with pytest.raises(Rewind):
        bench.process(given)
    bench.rewind()
    bench.process(given)
    assert not bench.task.careful


def test_r2_outs_are_checked_before_any_of_them_is_sent() -> None:
    gone = Topic("unit.gone", Json(Sum))
    told = Sum("a", 1, 1)

    def run(_: Addition, record: Record) -> Iterable[Out]:
        return [Out(TOY.sums, record.key, told), Out(gone, record.key, told)]

    bench = Bench(Processor(run, (TOY.additions,), None, (), "outs", timers=False))
    with pytest.raises(UnknownTopic, match=r"unit\.gone"):
        bench.process(records([Addition(A, 1)]))
    assert bench.sent == []

    def large(_: Addition, record: Record) -> Iterable[Out]:
        return [Out(TOY.sums, record.key, told), Out(TOY.sums, record.key, Sum("x" * 1_000_001, 1, 1))]

    bench = Bench(Processor(large, (TOY.additions,), None, (), "outs", timers=False))
    bench.process(records([Addition(A, 1)]))
    assert [(out.topic, dict(out.headers)["iopt-dlq-reason"]) for out in bench.sent] == [
        ("iopt.dlq.unit.additions", b"too-large")
    ]


def long(length: int) -> str:
    """Of partition 0."""
    return next(name for n in range(99) if partition((name := str(n).zfill(length)).encode(), 4) == 0)


def test_r2_an_out_is_no_longer_than_its_topic_takes_nor_is_a_letter() -> None:
    limits, dead_letters = Limits(), "iopt.dlq.unit.additions"
    limits.learn({TOY.sums.name: 2_000, dead_letters: 3_000})
    bench = Bench(limits=limits)
    bench.process(records([Addition(A, 1), Addition(long(1_500), 1), Addition(long(4_000), act="refuse")]))
    assert [out.topic for out in bench.sent] == [TOY.sums.name, dead_letters, dead_letters]
    assert [dict(out.headers)["iopt-dlq-reason"] for out in bench.sent[1:]] == [b"too-large", b"invalid"]
    assert dict(bench.sent[1].headers)["iopt-dlq-message"] == b"unit.sums: 3125 bytes, and 2000 fit"
    assert len(bench.sent[2].value or b"") < 1_000, "a reference"


def test_r2_what_the_broker_refuses_is_dead_lettered_by_its_offset() -> None:
    bench = Bench()
    given = records([Addition(A, 1), Addition(B, 1)])
    bench.process(given[:1])
    bench.commit()
    bench.process(given, 1)
    bench.task.condemn(bench.task.snapshot(), "MessageSizeTooLarge")
    assert bench.rewind() == 1
    bench.process(given, 1)
    assert [dict(out.headers)["iopt-dlq-reason"] for out in bench.sent] == [b"too-large"]
    assert bench.task.read(1, B.encode()) is None


def test_r3_a_stored_state_that_does_not_decode_is_no_records_fault() -> None:
    bench = Bench()
    bench.process(records([Addition(A, 1)]))
    bench.commit()
    whole = bench.store.get(b"\1" + A.encode()) or b""
    bench.store._states[b"\1" + A.encode()] = whole[:-2]
    bench.task.forget()
    with pytest.raises(Unreadable, match=f"table accounts, format 1: .*; key {A}, read for unit.additions/0 at 1"):
        bench.process(records([Addition(A, 1)], first=1))
    assert [out for out in bench.sent if "dlq" in out.topic] == []


def test_s1_a_newer_format_stops_the_task() -> None:
    bench = Bench()
    newer: Table[Account] = Table("accounts", 1, Account, format=2)
    bench.store._states[b"\1" + A.encode()] = Codec(newer).pack(Account(1, 1))
    with pytest.raises(NewerFormat, match=r"table accounts.*format 2, and 1"):
        bench.process(records([Addition(A, 1)]))
