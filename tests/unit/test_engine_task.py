"""What a task does with its records up to the commit: rules R1 to R3, R5, C1, C2, S5 and F1, without a broker."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from app.domain.errors import NotYet, PassedOver
from app.engine.driver import EPOCH_MS, Driver
from app.engine.lane import Encoded, UnknownTopic
from app.engine.processor import Change, Due, Out, Processor, Record, Table
from app.engine.stored import Codec, NewerFormat, Unreadable
from app.engine.task import Rewind
from app.wire.partition import partition
from app.wire.topics import Topic
from tests.support.one_task import TOY, A, B, Bench, C, keys, records
from tests.support.toy import Account, Addition, Json, Limit, Sum, noting

BAD_ACTS = ("refuse", "break", "unstorable")


def driver(*, careful: bool = False) -> Driver:
    return Driver([TOY.processor], careful=careful)


def sums(of: Driver) -> list[tuple[str, Any]]:
    return of.outputs(TOY.sums)


def letters(of: Driver) -> list[tuple[bytes | None, str, int]]:
    return [(letter.key, letter.reason, letter.attempts) for letter in of.dead(TOY.additions)]


# R1


def test_r1_a_record_with_a_wrong_or_missing_key_is_sent_on_once_unchanged() -> None:
    run = driver()
    for key in ("wrong", None, b"\xff"):
        run.send(TOY.additions, key, Addition("a", 1), (("traceparent", b"00-1-2-01"),))
    assert sums(run) == [("a", Sum("a", n, n)) for n in (1, 2, 3)]
    assert run.fates[TOY.additions.name, "misplaced", ""] == 3
    sent_on = [record for record in run.records(TOY.additions) if record.key == b"a"]
    assert [(json.loads(record.value or b"")["account"], record.headers) for record in sent_on] == [
        ("a", (("traceparent", b"00-1-2-01"),))
    ] * 3


def test_r1_a_record_on_the_wrong_partition_is_sent_to_its_own() -> None:
    run, home = driver(), partition(b"a", 4)
    value, _ = TOY.additions.codec.encode(Addition("a", 1), None)  # type: ignore[arg-type]  # JSON has no envelope
    run._log(Encoded(TOY.additions.name, (home + 1) % 4, b"a", value, []), run.now_ms)
    run._run()
    assert sums(run) == [("a", Sum("a", 1, 1))]
    assert run.fates[TOY.additions.name, "misplaced", ""] == 1


def test_r1_without_any_key_it_is_a_dead_letter() -> None:
    run = driver()
    run.send(TOY.additions, None, Addition("", 1))
    run.send(TOY.additions, "x", Addition("", 1))
    assert letters(run) == [(None, "no-key", 1), (b"x", "no-key", 1)]


# R2


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


# timers that fail


def failing_timer(act: str) -> tuple[Bench, list[str]]:
    """Three accounts have alarms at the same instant; the second one's fails."""
    fired: list[str] = []

    def run(account: Account | None, value: Addition | Due, record: Record) -> Change[Account]:
        if not isinstance(value, Due):
            return Account(alarm_at=EPOCH_MS + 10), []
        fired.append(record.key)
        if record.key == B and act == "break":
            raise ZeroDivisionError
        note = object() if record.key == B and act == "unstorable" else None
        return Account(note=note), [Out(TOY.alarms, record.key, Sum(record.key, 0, 0))]

    bench = Bench(Processor(run, (TOY.additions,), TOY.accounts, (), "timers", timers=True))
    bench.process(records([Addition(key) for key in (A, B, C)]))
    bench.commit()
    bench.sent.clear()
    return bench, fired


def fire_all(bench: Bench, now_ms: int) -> None:
    for _ in range(20):
        try:
            met = bench.task.fire(now_ms, now_ms)
            bench.commit()
        except Rewind:
            bench.rewind()
            continue
        if not met:
            return
    raise AssertionError("the timers never end")


@pytest.mark.parametrize("act", ["break", "unstorable"])
def test_r2_a_timer_that_fails_holds_up_no_other_and_is_tried_again(act: str) -> None:
    bench, _ = failing_timer(act)
    fire_all(bench, EPOCH_MS + 10)
    assert sorted(out.key or b"" for out in bench.sent) == sorted([A.encode(), C.encode()])
    assert bench.complaints == ["timer_failed"]
    assert bench.store.due((0, b""), EPOCH_MS + 70_000, 9) == [(EPOCH_MS + 60_010, b"\1" + B.encode())]
    assert not bench.task.careful


def test_r2_a_timer_whose_out_the_broker_refuses_is_put_off() -> None:
    bench, _ = failing_timer("send")
    bench.task.fire(EPOCH_MS + 10, EPOCH_MS + 10)
    bench.task.snapshot()
    bench.rewind()
    while bench.task.fire(EPOCH_MS + 10, EPOCH_MS + 10):
        snapshot = bench.task.snapshot()
        assert len(snapshot.write.gone) == 1, "with care, one timer a transaction"
        if snapshot.write.gone[0][1] == b"\1" + B.encode() and not bench.complaints:
            bench.task.condemn(snapshot, "InvalidRecord")
            bench.rewind()
            continue
        bench.store.write(snapshot.write)
        bench.task.wrote(snapshot.write)
    assert bench.complaints == ["timer_failed"]
    assert bench.task.read(1, B.encode()).alarm_at == EPOCH_MS + 10


# R3


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


# R5


class Limits:
    def __init__(self) -> None:
        self.known: dict[str, Limit] = {}

    def get(self, key: str) -> Limit | None:
        if key not in self.known:
            raise NotYet("limits", key)
        return self.known[key]

    def __getitem__(self, key: str) -> Limit:
        found = self.get(key)
        assert found is not None
        return found


def test_r5_not_yet_holds_the_task_before_the_record_and_names_what_it_waits_for() -> None:
    row = noting("unit.", TOY.additions)
    limits = Limits()
    limits.known[A] = Limit(5)
    bench = Bench(row.processor, {row.limits: limits})
    given = records([Addition(A, 1), Addition(B, 1), Addition(A, 2)])
    assert bench.process(given) == 1
    assert (bench.task.waiting, bench.task.positions) == (("limits", B), {bench.topic: 1})
    assert bench.process(given, 1) == 1
    limits.known[B] = Limit(5)
    assert bench.process(given, 1) == 3
    assert bench.task.waiting is None
    assert [out.topic for out in bench.sent] == ["unit.additions"] * 3


# C1


def test_c1_the_tasks_clock_never_goes_back() -> None:
    bench, seen = observed(Bench)
    bench.process(records([Addition(A)]), now_ms=EPOCH_MS + 50)
    bench.process(records([Addition(A)], first=1), now_ms=EPOCH_MS + 20)
    bench.commit()
    assert bench.store.meta.now_ms == EPOCH_MS + 50
    again, seen_again = observed(Bench)
    again.store.meta = bench.store.meta
    again.task.forget()
    again.process(records([Addition(A)], first=2), now_ms=EPOCH_MS + 30)
    assert [record.now_ms for record in [*seen, *seen_again]] == [EPOCH_MS + 50] * 3


def test_c1_one_now_a_chunk_and_no_happening_after_it_by_more_than_five_seconds() -> None:
    bench, seen = observed(Bench)
    bench.process(records([Addition(A), Addition(A)], timestamp=EPOCH_MS + 9_000))
    bench.process(records([Addition(A)], first=2, timestamp=EPOCH_MS + 4_000))
    assert [record.at_ms - EPOCH_MS for record in seen] == [5_000, 5_000, 4_000]
    assert {record.now_ms for record in seen} == {EPOCH_MS}


def observed(make: Any) -> tuple[Bench, list[Record]]:
    seen: list[Record] = []

    def run(account: Account | None, value: Addition, record: Record) -> Change[Account]:
        seen.append(record)
        return msgspec.structs.replace(account or Account(), total=value.amount), []

    table: Table[Account] = Table("plain", 1, Account)
    return make(Processor(run, (TOY.additions,), table, (), "plain", timers=False)), seen


def test_c1_outs_bear_the_time_of_the_decision() -> None:
    run = driver()
    run.advance("3s")
    run.send(TOY.additions, "a", Addition("a", 1))
    assert [record.timestamp for record in run.records(TOY.sums)] == [EPOCH_MS + 3_000]


def test_r4_a_chunk_is_bounded_by_time() -> None:
    bench = Bench()
    given = records([Addition(A, 1)] * 1_000)
    assert 0 < bench.process(given, seconds=0) < 100


# C2


def test_c2_a_processor_with_timers_is_told_what_is_due_and_when() -> None:
    run = driver()
    run.send(TOY.additions, "a", Addition("a", 1, alarm_after_ms=5_000))
    run.advance("4999ms")
    assert run.outputs(TOY.alarms) == []
    run.advance("1ms")
    assert run.outputs(TOY.alarms) == [("a", Sum("a", 1, 1))]
    run.advance("1h")
    assert len(run.outputs(TOY.alarms)) == 1


def test_c2_an_entry_is_written_only_when_the_due_moves_earlier() -> None:
    bench = Bench()
    entries = [
        bench.process(records([Addition(A, 1, after_ms)], first=n)) and bench.commit().entries
        for n, after_ms in enumerate([500, 900, 100, 200])
    ]
    key = b"\1" + A.encode()
    assert entries == [[(EPOCH_MS + 500, key)], [], [(EPOCH_MS + 100, key)], []]


def test_c2_an_entry_met_too_early_is_moved_and_one_without_meaning_dropped() -> None:
    bench = Bench()
    key = b"\1" + A.encode()
    bench.process(records([Addition(A, 1, 100), Addition(A, 1, 300)]))
    bench.commit()
    bench.process(records([Addition(A, 1, 100)], first=2))
    bench.commit()
    bench.process(records([Addition(A, 1, 300), Addition(B, 1, 100), Addition(B, act="delete")], first=3))
    bench.commit()
    assert bench.task.fire(EPOCH_MS + 100, EPOCH_MS + 100) >= 1
    bench.commit()
    assert bench.sent[-1].topic == "unit.sums", "nothing has fired"
    assert bench.store.due((0, b""), EPOCH_MS + 900, 9) == [(EPOCH_MS + 300, key)]
    bench.task.fire(EPOCH_MS + 300, EPOCH_MS + 300)
    bench.commit()
    assert bench.sent[-1].topic == "unit.alarms"
    assert bench.store.due((0, b""), EPOCH_MS + 900, 9) == []


def test_c2_the_cursor_is_kept_moves_back_for_a_new_entry_and_on_a_rewind() -> None:
    def run(_: Account | None, value: Addition | Due, __: Record) -> Change[Account]:
        return Account(alarm_at=0 if isinstance(value, Due) else EPOCH_MS + value.amount), []

    bench = Bench(Processor(run, (TOY.additions,), TOY.accounts, (), "cursor", timers=True))
    bench.process(records([Addition(A, 100)]))
    bench.commit()
    bench.task.fire(EPOCH_MS + 100, EPOCH_MS + 100)
    bench.task.forget()
    assert bench.task.cursor == (0, b"")
    bench.task.fire(EPOCH_MS + 100, EPOCH_MS + 100)
    bench.commit()
    assert bench.store.meta.cursor == (EPOCH_MS + 100, b"\1" + A.encode() + b"\0")
    bench.process(records([Addition(B, 50)], first=1))
    bench.commit()
    assert bench.task.cursor == bench.store.meta.cursor == (EPOCH_MS + 50, b"\1" + B.encode())


def test_c2_a_timer_that_sets_itself_again_fires_again() -> None:
    """The entry of its old due is used up, though the state still had that due when the transaction began."""

    def run(account: Account | None, value: Addition | Due, record: Record) -> Change[Account]:
        rung = (account or Account()).additions + isinstance(value, Due)
        return Account(rung, alarm_at=record.now_ms + 100 if rung < 3 else 0), []

    bench = Bench(Processor(run, (TOY.additions,), TOY.accounts, (), "again", timers=True))
    bench.process(records([Addition(A)]))
    bench.commit()
    for after_ms in range(100, 1_000, 50):
        bench.task.fire(EPOCH_MS + after_ms, EPOCH_MS + after_ms)
        bench.commit()
    assert bench.task.read(1, A.encode()) == Account(3)


def test_c2_an_entry_used_up_by_a_due_that_moved_in_the_same_transaction_is_made_good() -> None:
    def run(account: Account | None, value: Addition | Due, _: Record) -> Change[Account]:
        rung = (account or Account()).additions + isinstance(value, Due)
        after_ms = value.amount if isinstance(value, Addition) else 500
        return Account(rung, alarm_at=EPOCH_MS + after_ms if rung < 2 else 0), []

    bench = Bench(Processor(run, (TOY.additions,), TOY.accounts, (), "moved", timers=True))
    for n, due_ms in enumerate([100, 300]):
        bench.process(records([Addition(A, due_ms)], first=n))
        bench.commit()
    bench.process(records([Addition(A, 50)], first=2))
    bench.task.fire(EPOCH_MS + 100, EPOCH_MS + 100)
    bench.commit()
    bench.task.fire(EPOCH_MS + 500, EPOCH_MS + 500)
    bench.commit()
    assert bench.task.read(1, A.encode()) == Account(2)


def test_c2_timers_fired_while_a_write_is_on_its_way_lose_no_entry() -> None:
    bench = Bench()
    bench.process(records([Addition(A, 1, 100)]))
    bench.commit()
    bench.process(records([Addition(B, 1, 50)], first=1))
    on_its_way = bench.task.snapshot().write
    bench.task.fire(EPOCH_MS + 100, EPOCH_MS + 100)
    bench.store.write(on_its_way)
    bench.task.wrote(on_its_way)
    bench.task.fire(EPOCH_MS + 100, EPOCH_MS + 100)
    bench.commit()
    assert sorted(out.key or b"" for out in bench.sent if out.topic == "unit.alarms") == sorted(
        [A.encode(), B.encode()]
    )


def test_c2_at_most_256_timers_a_chunk() -> None:
    bench = Bench()
    bench.process(records([Addition(key, 1, 100) for key in keys(300)]))
    bench.commit()
    assert [bench.task.fire(EPOCH_MS + 100, EPOCH_MS + 100) for _ in range(3)] == [256, 44, 0]


def test_c2_a_timer_that_stays_due_does_not_fire_for_ever() -> None:
    def run(account: Account | None, value: Addition | Due, _: Record) -> Change[Account]:
        return account if isinstance(value, Due) else Account(alarm_at=EPOCH_MS + 10), []

    bench = Bench(Processor(run, (TOY.additions,), TOY.accounts, (), "stays", timers=True))
    bench.process(records([Addition(A)]))
    bench.commit()
    fire_all(bench, EPOCH_MS + 10)
    assert bench.complaints == ["timer_failed"]


# S5


def test_s5_an_evicted_key_comes_back_from_the_store_and_a_dirty_one_is_never_evicted() -> None:
    bench, names, expected = Bench(cache_bytes=2_000), keys(200), dict[str, int]()
    cache = bench.task.caches[1]

    def add(name: str) -> None:
        offset = bench.task.positions[bench.topic]
        bench.process(records([Addition(name, 1)], first=offset))
        expected[name] = expected.get(name, 0) + 1

    for n, name in enumerate(names * 5):
        add(name)
        if n % 7 == 0:
            on_its_way = bench.task.snapshot().write
            add(name)
            add(names[n * 13 % 200])
            bench.store.write(on_its_way)
            bench.task.wrote(on_its_way)
            assert set(cache.dirty) <= set(cache.hot)
    bench.commit()
    assert len(cache.hot) + len(cache.old) < 100
    assert {name: bench.task.read(1, name.encode()).total for name in names} == expected


def test_s5_a_deleted_key_is_known_to_be_gone_and_the_same_object_is_not_dirty() -> None:
    bench, cache = Bench(), None
    bench.process(records([Addition(A, 1)]))
    bench.commit()
    bench.process(records([Addition(A, act="delete")], first=1))
    cache = bench.task.caches[1]
    assert cache.hot[A.encode()] is None
    assert bench.commit().changes == [(b"\1" + A.encode(), None)]
    assert bench.task.read(1, A.encode()) is None

    def same(account: Account | None, _: Addition, __: Record) -> Change[Account]:
        return account or Account(), []

    still = Bench(Processor(same, (TOY.additions,), Table("plain", 1, Account), (), "plain", timers=False))
    still.process(records([Addition(A)]))
    assert len(still.commit().changes) == 1
    still.process(records([Addition(A)], first=1))
    assert still.commit().changes == []


def test_s5_what_is_read_from_outside_is_committed() -> None:
    bench = Bench()
    bench.process(records([Addition(A, 1)]))
    assert bench.task.read(1, A.encode()) is None
    bench.commit()
    assert bench.task.read(1, A.encode()) == Account(1, 1)


def test_states_are_counted_by_their_marks() -> None:
    table: Table[Account] = Table("marked", 1, Account, mark=lambda account: min(account.additions, 2))

    def run(account: Account | None, value: Addition, _: Record) -> Change[Account]:
        if value.act == "delete":
            return None, []
        return Account((account or Account()).additions + 1), []

    bench = Bench(Processor(run, (TOY.additions,), table, (), "marked", timers=False))
    bench.process(records([Addition(A), Addition(A), Addition(B), Addition(C)]))
    bench.commit()
    bench.process(records([Addition(A), Addition(B), Addition(C, act="delete")], first=4))
    bench.commit()
    assert {name: count for name, count in bench.store.meta.marks.items() if count} == {"1:2": 2}


def test_a_record_that_is_passed_over_has_that_fate_and_its_reason() -> None:
    def run(_: Addition, __: Record) -> Iterable[Out]:
        raise PassedOver("duplicate")

    bench = Bench(Processor(run, (TOY.additions,), None, (), "passes", timers=False))
    bench.process(records([Addition(A), Addition(A)]))
    assert bench.task.snapshot().fates == {
        (bench.topic, "passed-over", "duplicate"): 2,
        (bench.topic, "processed", ""): 0,
    }
