"""What becomes of single records on real Kafka: rules R1, R2, R5 and R7."""

from __future__ import annotations

import json

import msgspec

from tests.support.accounts import Accounts, names_on
from tests.support.kafka import Written
from tests.support.toy import Addition

LONG = "x" * 50_000


def test_r1_a_misplaced_record_is_sent_on_once_unchanged(toy_row: Accounts) -> None:
    """And R2, R7: what cannot be processed is a dead letter, on the partition of its source mod N."""
    toy_row.workers.ready(dead_letter_partitions=2)
    kafka, (home, *_) = toy_row.kafka, names_on(3, 1)
    said = msgspec.json.encode(Addition(home, 5))
    headers = (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("odd", b"\x00\xff"))
    kafka.write(
        toy_row.additions,
        Written("wrong", said, headers),
        Written(None, said, headers, 0),
        Written(home, said, headers, 1),
        Written(home, said, headers, 3),
    )
    records = toy_row.until_summed(4)
    assert [json.loads(record.value or b"")["additions"] for record in records] == [1, 2, 3, 4]
    sent_on = [(r.key, r.value, r.headers) for r in kafka.read(toy_row.additions, count=7) if r.partition == 3]
    assert sent_on == [(home, said, headers)] * 4

    bad = names_on(3, 1, "bad")[0]
    good = names_on(3, 1, "good")[0]
    broken = [Addition(bad, 1, act=act) for act in ("refuse", "break", "unstorable")]
    rows = [Written(home, b"{}", (), 3), Written(home, None, (), 3), Written(None, b'{"account":""}', (), 3)]
    for n, addition in enumerate(broken):
        rows += [Written(good, msgspec.json.encode(Addition(good, 10**n))), Written(bad, msgspec.json.encode(addition))]
    kafka.write(toy_row.additions, *rows, Written(good, msgspec.json.encode(Addition(good, 1_000))))
    toy_row.until_summed(8)
    assert [told.total for told in toy_row.sums()[good]] == [1, 11, 111, 1_111]
    assert toy_row.letters(6) == [
        (home, "undecodable"),
        (home, "undecodable"),
        (None, "no-key"),
        (bad, "invalid"),
        (bad, "bug"),
        (bad, "bug"),
    ]
    letters = kafka.read(toy_row.dead_letters, count=6)
    assert {(letter.partition, dict(letter.headers)["iopt-dlq-partition"]) for letter in letters} == {(1, b"3")}
    assert kafka.topics()[toy_row.dead_letters] == 2


def test_r2_going_back_in_full_flow_repeats_and_loses_nothing(toy_row: Accounts) -> None:
    """The stretch that is broken off has left outs and states behind: no commit may take them."""
    worker = toy_row.workers.ready()
    good = [Addition(f"a-{n % 40}", 1) for n in range(12_000)]
    bad = [Addition(f"bad-{n}", 1, act=act) for n, act in enumerate(["break", "unstorable"] * 40)]
    for n, culprit in enumerate(bad):
        toy_row.add(*good[150 * n : 150 * n + 110], culprit, *good[150 * n + 110 : 150 * n + 150])
    toy_row.added -= len(bad)
    toy_row.until_summed()
    assert len(toy_row.letters(len(bad))) == len(bad)
    assert len(worker.events("rewind")) > 10
    toy_row.assert_exact()


def test_r2_a_record_that_the_broker_refuses_is_found_and_all_others_go_on(toy_row: Accounts) -> None:
    """Its out does not fit into its topic, whose limit may not be read: produce error 10."""
    toy_row.kafka.delete(toy_row.sums_topic)
    toy_row.kafka.create(toy_row.sums_topic, max_message_bytes="40000")
    worker = toy_row.workers.ready(sabotage="limits")
    refused = [Addition(LONG, 1), Addition(LONG[1:], 1)]
    others = [Addition(f"a-{n % 40}", 1, 400 if n < 40 else 0) for n in range(200)]
    toy_row.add(*others[:90], refused[0], *others[90:150], refused[1], *others[150:])
    toy_row.until_summed(200)
    assert toy_row.letters(2) == [(LONG, "too-large"), (LONG[1:], "too-large")]
    assert len(worker.events("rewind")) > 1
    toy_row.added -= 2
    toy_row.until_alarmed(*[f"a-{n}" for n in range(40)])
    toy_row.assert_exact()
    before = len(worker.events("rewind"))
    toy_row.add(*others[:40])
    toy_row.until_summed()
    assert len(worker.events("rewind")) == before


def test_r5_a_task_waits_for_an_entry_that_may_still_come(toy_row: Accounts) -> None:
    """One that is hidden by an open transaction is not absent yet; one that is certainly absent is refused."""
    kafka, prefix = toy_row.kafka, toy_row.prefix
    notes, limits, dead_letters = f"{prefix}notes", f"{prefix}limits", f"iopt.dlq.{prefix}notes"
    toy_row.workers.ready(notes=True, tasks=8)
    (known,), (waiting,) = names_on(1, 1), names_on(2, 1)
    kafka.write(limits, (known, b'{"amount": 9}'))
    with toy_row.open_transaction() as producer:
        producer.produce(limits, key=waiting, value=b'{"amount": 9}')
        producer.flush(10)
        kafka.write(notes, (waiting, msgspec.json.encode(Addition(waiting, 7))))
        kafka.write(notes, (known, msgspec.json.encode(Addition(known, 7))))
        toy_row.until_summed(1)
        assert (list(toy_row.sums()), kafka.read_all(dead_letters)) == ([known], [])
        producer.commit_transaction(10)
        producer.begin_transaction()
        toy_row.until_summed(2)
    kafka.write(notes, ("nobody", msgspec.json.encode(Addition("nobody", 7))))
    (letter,) = kafka.read(dead_letters, count=1)
    assert (letter.key, dict(letter.headers)["iopt-dlq-reason"]) == ("nobody", b"refused")
    kafka.write(limits, ("nobody", b'{"amount": 9}'))
    kafka.write(notes, ("nobody", msgspec.json.encode(Addition("nobody", 8))))
    toy_row.until_summed(3)


def test_s4_a_task_without_a_table_logs_its_positions(toy_row: Accounts) -> None:
    """It goes on where it was, though the group has forgotten."""
    kafka, prefix = toy_row.kafka, toy_row.prefix
    worker = toy_row.workers.ready(notes=True, tasks=8, leave=True)
    kafka.write(f"{prefix}limits", ("known", b'{"amount": 9}'))
    kafka.write(f"{prefix}notes", ("known", msgspec.json.encode(Addition("known", 7))))
    toy_row.until_summed(1)
    worker.stop()
    kafka.forget_group(toy_row.group)
    toy_row.workers.ready(notes=True, tasks=8, data="another-host")
    kafka.write(f"{prefix}notes", ("known", msgspec.json.encode(Addition("known", 2))))
    toy_row.until_summed(2)
    assert [told.total for told in toy_row.sums()["known"]] == [7, 9]


def test_r8_what_goes_first_is_taken_before_what_has_waited_for_longer(toy_row: Accounts) -> None:
    kafka, urgent, (name, *_) = toy_row.kafka, f"{toy_row.workers.prefix}urgent", names_on(2, 1)
    kafka.create(toy_row.additions, urgent)
    toy_row.add(*(Addition(name, 1) for _ in range(3_000)))
    kafka.write(urgent, *(Written(name, msgspec.json.encode(Addition(name, 10_000))) for _ in range(2)))
    toy_row.workers.ready(urgent=urgent)
    toy_row.until_summed(3_002)
    assert [told.total for told in toy_row.sums()[name][:3]] == [10_000, 20_000, 20_001]
