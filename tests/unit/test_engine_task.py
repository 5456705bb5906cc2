"""What a task does with its records up to the commit: rules R1, R4, R5, C1 and S5, without a broker."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from app.domain.errors import NotYet, PassedOver
from app.engine.driver import EPOCH_MS
from app.engine.processor import Change, Out, Processor, Record, Table
from app.engine.state.store import Meta
from app.engine.tasks.lane import Encoded
from app.wire.partition import partition
from tests.support.one_task import TOY, A, B, Bench, C, driver, keys, letters, records, sums
from tests.support.toy import Account, Addition, Limit, Sum, noting


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
    value, _ = TOY.additions.codec.encode(Addition("", 1), None)  # type: ignore[arg-type]
    run._log(Encoded(TOY.additions.name, partition(b"", 4), b"", value, []), run.now_ms)
    run._run()
    assert letters(run) == [(None, "no-key", 1), (b"x", "no-key", 1), (b"", "no-key", 1)]


def test_r1_a_key_that_is_no_text_is_not_taken_for_the_text_that_stands_for_it() -> None:
    odd = next(key for key in (b"\xff" * n for n in range(1, 50)) if partition(key, 4) != 0)
    run, named = driver(), odd.decode(errors="replace")
    value, _ = TOY.additions.codec.encode(Addition(named, 1), None)  # type: ignore[arg-type]
    run._log(Encoded(TOY.additions.name, partition(odd, 4), odd, value, []), run.now_ms)
    run._run()
    assert run.table(TOY.accounts).keys() == {named}
    assert sums(run) == [(named, Sum(named, 1, 1))]


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


def test_s4_records_that_expired_unread_are_counted_once_in_a_transaction_of_their_own() -> None:
    bench = Bench()
    bench.store.meta = Meta(positions={bench.topic: 7}, expired={bench.topic: 3})
    bench.task.start({bench.topic: 7})
    assert bench.task.note_expired()
    assert bench.task.pending
    lost = {(bench.topic, "expired", "retention"): 3}
    bench.task.forget()
    assert not bench.task.pending, "a rewind drops the step, and not what it had to say"
    assert bench.process(records([Addition(A)], first=7)) == 1
    snapshot = bench.task.snapshot()
    assert dict(snapshot.fates) == lost | {(bench.topic, "processed", ""): 1}
    bench.store.write(snapshot.write)
    bench.task.wrote(snapshot.write)
    bench.task.forget()
    assert not bench.task.note_expired()
    assert bench.task.snapshot().fates == {}
