"""C2 where states, their dues and the index cross within one transaction: no timer is lost, none is late."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import msgspec
import pytest

from app.domain.errors import Rejected
from app.engine.driver import Sent, _Counts
from app.engine.processor import Change, Due, Out, Processor, Record, Table
from app.engine.state.store import MemoryStore
from app.engine.tasks.lane import Encoded, Runtime
from app.engine.tasks.task import Rewind, Task
from app.engine.topology import build
from app.wire.topics import Topic
from tests.support.toy import Account, Addition, Json

ADDITIONS = Topic("index.additions", Json(Addition), key_of=lambda addition: addition.account)
ALARMS = Topic("index.alarms", Json(Addition))
Run = Callable[[Account | None, Any, Record], Change[Account]]


class Clockwork:
    """One task, by hand."""

    def __init__(self, run: Run) -> None:
        table = Table("accounts", 1, Account, due=lambda account: account.alarm_at or None)
        sub = build([Processor(run, (ADDITIONS,), table, (), "index", timers=True)], {})["index"]
        self.sent: list[Encoded] = []
        self.log: list[Sent] = []
        runtime = Runtime(_Counts(1), lambda out, _at: self.sent.append(out), {}, lambda *_, **__: None, lambda: 0)
        self.task = Task(sub, 0, MemoryStore(), runtime, 1 << 20)

    def add(self, now_ms: int, *, act: str = "add", after_ms: int = 0, amount: int = 0, headers: Any = ()) -> None:
        value = msgspec.json.encode(Addition("a", amount, after_ms, act))
        self.log.append(Sent(len(self.log), 1, b"a", value, headers))
        self.task.process(ADDITIONS.name, self.log, len(self.log) - 1, now_ms, perf_counter() + 9)

    def commit(self) -> None:
        snapshot = self.task.snapshot()
        self.task.store.write(snapshot.write)
        self.task.wrote(snapshot.write)


def alarm(account: Account | None, value: Any, record: Record) -> Change[Account]:
    if isinstance(value, Due):
        assert account is not None
        return msgspec.structs.replace(account, alarm_at=0), [Out(ALARMS, record.key, Addition(record.key))]
    return (None if value.act == "delete" else Account(1, value.amount, record.now_ms + value.alarm_after_ms)), []


def test_c2_a_due_that_comes_back_within_a_transaction_has_an_entry_of_its_own():
    work = Clockwork(alarm)
    work.add(1_000, after_ms=100)
    work.commit()
    work.add(1_150, act="delete")
    assert work.task.fire(1_160, 1_160) == 1
    work.add(1_170, after_ms=500)
    work.commit()
    work.task.fire(5_000, 5_000)
    assert len(work.sent) == 1


def test_c2_a_new_due_does_not_wait_for_a_timer_that_was_put_off():
    def fail_while_empty(account: Account | None, value: Any, record: Record) -> Change[Account]:
        if isinstance(value, Due) and account is not None and account.total == 0:
            raise Rejected("nothing to tell")
        return alarm(account, value, record)

    work = Clockwork(fail_while_empty)
    work.add(1_000, after_ms=100)
    work.commit()
    work.task.fire(1_200, 1_200)
    work.commit()
    work.add(1_300, after_ms=5_000, amount=1)
    work.commit()
    work.task.fire(7_000, 7_000)
    assert len(work.sent) == 1


def test_t3_a_task_is_ahead_of_its_store_until_the_write_has_returned():
    work = Clockwork(alarm)
    work.add(1_000, after_ms=100)
    work.commit()
    assert not work.task.ahead
    work.task.fire(1_200, 1_200)
    work.task.snapshot()
    assert work.task.ahead
    work.task.forget()
    assert not work.task.ahead


def test_r2_a_due_that_cannot_be_stored_is_no_crash():
    work = Clockwork(alarm)
    work.add(1_000, after_ms=2**63 - 1_000)
    with pytest.raises(Rewind, match="state-encode"):
        work.task.snapshot()


def test_r1_a_misplaced_record_whose_sender_is_null_is_only_sent_on():
    work = Clockwork(alarm)
    work.log.append(Sent(0, 1, b"other", msgspec.json.encode(Addition("a")), [("ce_source", None)]))  # type: ignore[list-item]
    work.task.process(ADDITIONS.name, work.log, 0, 1_000, perf_counter() + 9)
    assert [(out.topic, out.key) for out in work.sent] == [(ADDITIONS.name, b"a")]


def test_s1_a_due_before_the_epoch_is_refused_with_its_record():
    work = Clockwork(alarm)
    work.add(1_000, after_ms=-1_001)
    with pytest.raises(Rewind, match="state-encode") as refused:
        work.commit()
    assert str(refused.value.__cause__) == "table accounts: due at -1, expected at least 0"
