"""Rule C3 on real Kafka: a timer never fires while a record that would have moved it may lie unread."""

from __future__ import annotations

import time

import msgspec

from tests.support.accounts import Accounts, names_on
from tests.support.kafka import wait_for
from tests.support.toy import Addition

ALARM_MS, FAR_MS, WAIT_S = 1_500, 600_000, 3.0


def rescue(account: str) -> bytes:
    return msgspec.json.encode(Addition(account, 1, FAR_MS))


def test_c3_a_record_hidden_by_an_open_transaction_holds_the_timer_but_not_for_ever(toy_row: Accounts) -> None:
    toy_row.workers.ready(timer_wait_s=WAIT_S)
    (held, elsewhere), later = (names_on(number, 1)[0] for number in (1, 2)), names_on(1, 1, "later")[0]
    with toy_row.open_transaction() as producer:
        toy_row.add(Addition(held, 1, ALARM_MS), Addition(elsewhere, 1, ALARM_MS))
        producer.produce(toy_row.additions, key=held, value=rescue(held))
        producer.flush(10)
        toy_row.until_alarmed(elsewhere)
        assert held not in toy_row.alarms()
        producer.commit_transaction(10)
        producer.begin_transaction()
        toy_row.add(Addition(later, 1, ALARM_MS))
        toy_row.until_alarmed(later)
        assert held not in toy_row.alarms()

        toy_row.add(Addition(later, 1, ALARM_MS))
        before = time.monotonic()
        producer.produce(toy_row.additions, key=held, value=rescue(held))
        producer.flush(10)
        wait_for(lambda: len(toy_row.alarms()[later]) == 2, "the alarm that has waited long enough")
        assert time.monotonic() - before > ALARM_MS / 1_000 + WAIT_S - 0.5


def test_c3_after_a_downtime_what_was_written_meanwhile_is_read_first(toy_row: Accounts) -> None:
    worker = toy_row.workers.ready()
    rescued, lost = names_on(1, 1)[0], names_on(1, 1, "lost")[0]
    toy_row.add(Addition(rescued, 1, ALARM_MS), Addition(lost, 1, ALARM_MS))
    toy_row.until_summed(2)
    due = time.monotonic() + ALARM_MS / 1_000
    assert worker.stop() == 0
    toy_row.add(*[Addition(lost, 1)] * 3_000, Addition(rescued, 1, FAR_MS))
    wait_for(lambda: time.monotonic() > due, "the alarms to be due")
    toy_row.workers.ready()
    toy_row.until_alarmed(lost)
    assert rescued not in toy_row.alarms()
    toy_row.until_summed()
    toy_row.assert_exact()


def test_c3_timers_fire_while_records_never_cease(toy_row: Accounts) -> None:
    """No fetch is ever empty then; a record that is not older than the due shows that all before it are read."""
    toy_row.workers.ready(timer_wait_s=60.0)
    timed, busy = names_on(1, 1)[0], names_on(1, 1, "busy")[0]
    toy_row.add(Addition(timed, 1, ALARM_MS))
    deadline = time.monotonic() + 15
    while timed not in toy_row.alarms():
        assert time.monotonic() < deadline
        for _ in range(20):
            toy_row.add(*[Addition(busy, 1)] * 5)


def test_c1_timers_neither_stand_still_nor_storm_after_a_worker_whose_clock_was_ahead(toy_row: Accounts) -> None:
    """50 minutes: what is further ahead than an hour, the broker refuses. Records never cease, as in the test above."""
    wall = toy_row.workers.directory / "wall"
    wall.write_text("3000")
    timed, patient, busy = names_on(1, 1)[0], names_on(1, 1, "patient")[0], names_on(1, 1, "busy")[0]
    ahead = toy_row.workers.ready(wall=str(wall))
    toy_row.add(Addition(busy, 1), Addition(patient, 1, FAR_MS))
    toy_row.until_summed()
    assert ahead.stop() == 0
    toy_row.workers.ready()
    toy_row.add(Addition(timed, 1, ALARM_MS))
    deadline = time.monotonic() + 15
    while timed not in toy_row.alarms():
        assert time.monotonic() < deadline
        for _ in range(20):
            toy_row.add(*[Addition(busy, 1)] * 5)
    assert patient not in toy_row.alarms()
