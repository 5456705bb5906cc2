"""When a state is due, and what becomes of it: rule C2, and R2 for timers that fail, without a broker."""

from __future__ import annotations

import pytest

from app.engine.driver import EPOCH_MS
from app.engine.processor import Change, Due, Out, Processor, Record
from app.engine.tasks.task import Rewind
from tests.support.one_task import TOY, A, B, Bench, C, driver, keys, records
from tests.support.toy import Account, Addition, Sum


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
