"""Rule T2 on a real group: who has which task, while workers come, go, change, and topics grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer

from tests.support.accounts import Accounts, load
from tests.support.kafka import Kafka, wait_for
from tests.support.toy import Addition, Limit
from tests.support.workers import Event, Process

pytestmark = pytest.mark.timeout(400)  # three workers start, and the group settles six times
NAMES = [f"a-{n}" for n in range(60)]
_json = msgspec.json.encode


def assigned(worker: Process) -> Event:
    """What it was given last."""
    events = worker.events("tasks_assigned")
    return events[-1] if events else {"generation": -1, "tasks": []}


def shared(*workers: Process, tasks: int, after: int = 0) -> list[set[str]]:
    """The tasks of each, once all of the group's are shared out among these, in a generation after that one."""

    def settled() -> bool:
        for worker in workers:
            assert worker.code is None, worker.tail()
        newest = [assigned(worker) for worker in workers]
        names = [name for event in newest for name in event["tasks"]]
        generations = {event["generation"] for event in newest}
        return len(generations) == 1 and min(generations) > after and len(names) == len(set(names)) == tasks

    wait_for(settled, f"{tasks} tasks to be shared among {len(workers)}", 90)
    return [set(assigned(worker)["tasks"]) for worker in workers]


def test_t2_from_one_worker_to_three_and_back_nothing_is_lost_and_no_more_moves_than_must(toy_row: Accounts) -> None:
    start = toy_row.workers.start
    first = start(leave=True, data="one")
    shared(first, tasks=4)
    with load(toy_row, lambda: [Addition(name, 1) for name in NAMES], pause_s=0.2):
        second = start(leave=True, data="two")
        of_first, of_second = shared(first, second, tasks=4)
        assert (len(of_first), len(of_second)) == (2, 2)
        third = start(leave=True, data="three")
        after = shared(first, second, third, tasks=4)
        assert sorted(map(len, after)) == [1, 1, 2]
        assert after[0] <= of_first
        assert after[1] <= of_second
        assert second.stop() == 0
        left = shared(first, third, tasks=4)
        assert list(map(len, left)) == [2, 2]
        assert left[0] >= after[0]
        assert left[1] >= after[2]
        assert third.stop() == 0
        shared(first, tasks=4)
        back = start(leave=True, data="three")
        assert shared(first, back, tasks=4)[1] == left[1], "it has their stores"
        assert back.stop() == 0
    toy_row.until_summed(within_s=60)
    assert first.stop() == 0
    toy_row.assert_exact()


def test_t2_topics_of_a_row_stay_together_whatever_their_counts_and_one_may_grow(
    toy_row: Accounts, kafka: Kafka, prefix: str
) -> None:
    """Without a table, task p has partition p of each topic that has one; more partitions are more tasks, at once."""
    memos, notes = f"{prefix}memos", f"{prefix}notes"
    kafka.create(memos, partitions=6)
    options: dict[str, Any] = {"notes": True, "memos": memos}
    one = toy_row.workers.start(data="one", **options)
    shared(one, tasks=4 + 6)
    two = toy_row.workers.start(data="two", **options)
    of_one, of_two = shared(one, two, tasks=4 + 6)
    assert (len(of_one), len(of_two)) == (5, 5)
    kafka.write(f"{prefix}limits", *[(name, _json(Limit(9))) for name in NAMES])
    kafka.write(notes, *[(name, _json(Addition(name, 1))) for name in NAMES])
    kafka.write(memos, *[(name, _json(Addition(name, 2))) for name in NAMES])
    toy_row.until_summed(2 * len(NAMES))
    kafka.grow(memos, 9)
    grown = shared(one, two, tasks=4 + 9)
    assert of_one <= grown[0]
    assert of_two <= grown[1]
    kafka.write(memos, *[(name, _json(Addition(name, 3))) for name in NAMES])
    toy_row.until_summed(3 * len(NAMES))
    toy_row.added = 3 * len(NAMES)
    assert kafka.topics()[f"iopt.{prefix}notes.changelog".replace(prefix, prefix.replace(".", "-"))] == 9
    assert [one.stop(), two.stop()] == [0, 0]
    assert sum(map(len, toy_row.sums().values())) == toy_row.added


def test_t2_a_topic_of_a_table_that_grows_stops_the_worker_for_good(toy_row: Accounts, kafka: Kafka) -> None:
    worker = toy_row.workers.ready()
    kafka.grow(toy_row.additions, 6)
    assert worker.wait(30) == 1
    assert f"{toy_row.additions} has 6; expected 4 (iopt.partitions)" in worker.events("worker_failed")[0]["error"]


def test_t2_a_deploy_that_adds_a_topic_goes_over_with_the_majority(
    toy_row: Accounts, kafka: Kafka, prefix: str
) -> None:
    """Static members restart one by one, under load; the row is never read by two topologies at once."""
    gifts = f"{prefix}gifts"
    kafka.create(gifts, partitions=4)
    hosts = ("one", "two", "three")
    workers = [toy_row.workers.start(data=host, session_s=40.0) for host in hosts]
    shared(*workers, tasks=4)
    kafka.write(gifts, *[(name, _json(Addition(name, 5))) for name in NAMES])

    def renew(number: int) -> list[int]:
        before = assigned(workers[number])["generation"]
        assert workers[number].stop() == 0
        workers[number] = toy_row.workers.start(data=hosts[number], session_s=40.0, gifts=gifts)
        return list(map(len, shared(*workers, tasks=4, after=before)))

    with load(toy_row, lambda: [Addition(name, 1) for name in NAMES], pause_s=0.2):
        assert renew(0) == [0, 2, 2]
        assert renew(1) == [2, 2, 0]
        toy_row.added += len(NAMES)
        assert sorted(renew(2)) == [1, 1, 2]
    toy_row.until_summed(within_s=60)
    kafka.write(gifts, *[(name, _json(Addition(name, 5))) for name in NAMES])
    toy_row.added += len(NAMES)
    toy_row.until_summed()
    assert [worker.stop() for worker in workers] == [0, 0, 0]
    toy_row.assert_exact()


def test_t2_a_deploy_that_takes_a_topic_away_again_starts_on_what_was_assigned_before(
    toy_row: Accounts, kafka: Kafka, prefix: str
) -> None:
    """The old assignment, which a static restart is given, names a topic that is read no more."""
    gifts = f"{prefix}gifts"
    kafka.create(gifts, partitions=4)
    worker = toy_row.workers.ready(session_s=40.0, gifts=gifts)
    kafka.write(gifts, *[(name, _json(Addition(name, 5))) for name in NAMES])
    toy_row.added += len(NAMES)
    toy_row.until_summed()
    assert worker.stop() == 0
    back = toy_row.workers.ready(session_s=40.0)
    assert back.events("rejoining")
    toy_row.add(*[Addition(name, 1) for name in NAMES])
    toy_row.until_summed()
    assert back.stop() == 0
    toy_row.assert_exact()


@pytest.fixture
def stranger(kafka: Kafka, toy_row: Accounts) -> Iterator[Consumer]:
    """Some program in the same group."""
    kafka.create(toy_row.additions)
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": toy_row.group})
    consumer.subscribe([toy_row.additions])
    wait_for(lambda: consumer.poll(0.1) is not None or bool(consumer.assignment()), "the stranger to join")
    yield consumer
    consumer.close()


def test_t2_a_group_with_other_programs_in_it_is_refused(toy_row: Accounts, stranger: Consumer) -> None:
    worker = toy_row.workers.start()
    assert worker.wait(30) == 1
    said = worker.events("worker_failed")[0]["error"]
    assert f"group {toy_row.group!r} has members that are no workers" in said
    assert "spring.kafka.consumer.group-id" in said


def test_t2_a_worker_with_nothing_to_do_is_well(toy_row: Accounts) -> None:
    workers = [toy_row.workers.start(data=f"host-{n}", leave=True, partitions=1) for n in range(2)]
    assert sorted(map(len, shared(*workers, tasks=1))) == [0, 1]
    toy_row.add(*[Addition(name, 1) for name in NAMES])
    toy_row.until_summed()
    assert {worker.stop() for worker in workers} == {0}
    toy_row.assert_exact()
