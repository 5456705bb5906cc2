"""What hangs in Faust alone, tried on purpose: it ends in progress, or in a crash that says why, and soon.

T13, T25, T26 and T35 are the names of Faust's hangs: a slow broker, an agent that does not give back, a fetch that
waits for nothing, a topic that comes late.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from deploy.kafka import Broker
from tests.support.accounts import Accounts, accounts, names_on
from tests.support.brokers import frozen
from tests.support.kafka import Kafka
from tests.support.product import free_port
from tests.support.sabotage import LATE_S, VICTIM
from tests.support.toy import Addition
from tests.support.watched import until
from tests.support.workers import Process

pytestmark = pytest.mark.timeout(300)  # on a busy machine workers take a while to start
EACH = [account for number in range(4) for account in names_on(number, 3)]
(ONE,) = names_on(VICTIM, 1)


@pytest.fixture
def frail(prefix: str, tmp_path: Path) -> Iterator[tuple[Accounts, Broker]]:
    """The toy row on a broker of its own."""
    broker = Broker(tmp_path / "broker")
    broker.start()
    try:
        with accounts(Kafka(broker.bootstrap), prefix, tmp_path) as row:
            yield row, broker
    finally:
        broker.stop()


def test_faust_t13_a_broker_that_stands_still_during_a_recovery_is_waited_for(frail: tuple[Accounts, Broker]) -> None:
    row, broker = frail
    first = row.workers.ready()
    for n in range(8):
        row.add(*[Addition(account, 1) for account in EACH])
        row.until_summed(len(EACH) * (n + 1))
    assert first.stop() == 0
    shutil.rmtree(row.workers.data / "0" / "stores")
    port = free_port()
    worker = row.workers.start(port=port, sabotage="restore")
    until(port, lambda said: said.says(f"{row.row}-{VICTIM} restoring"), "the recovery to begin")
    with frozen(broker):
        said = until(port, lambda said: said.says("broker away") and said.says("restoring for 2"), "it to be told")
        assert (said.live, said.ready) == (True, False), said
    until(port, lambda said: said.ready and said.live and not said.says("restoring"), "the recovery to end")
    row.add(*[Addition(account, 1) for account in EACH])
    row.until_summed(within_s=60)
    assert worker.stop() == 0
    row.assert_exact()


def test_faust_t13_an_assignment_that_faust_gives_up_ends_the_worker_and_says_so(toy_row: Accounts) -> None:
    worker = toy_row.workers.start(sabotage="seek")
    assert worker.wait(60) == 4
    assert "Hung: Faust gave up an assignment" in worker.events("worker_failed")[0]["error"]
    toy_row.add(Addition(ONE, 1))
    again = toy_row.workers.ready()
    toy_row.until_summed()
    assert again.stop() == 0
    toy_row.assert_exact()


def hanging(row: Accounts) -> Process:
    """A worker whose agent has taken a record and never returns."""
    port = free_port()
    worker = row.workers.ready(port=port, sabotage="impatience,agent")
    row.add(Addition(ONE, 1))
    until(port, lambda said: any("fetched and are not processed" in why for why in said.reasons), "the agent to hang")
    row.add(*[Addition(account, 1) for account in EACH])
    return worker


def test_faust_t25_a_worker_whose_agent_never_returns_is_stopped_by_its_signal(toy_row: Accounts) -> None:
    worker = hanging(toy_row)
    begun = monotonic()
    assert worker.stop(30) == 0
    assert monotonic() - begun < 15
    again = toy_row.workers.ready()
    toy_row.until_summed()
    assert again.stop() == 0
    toy_row.assert_exact()


def test_faust_t25_a_rebalance_that_waits_for_an_agent_ends_its_worker_and_others_go_on(toy_row: Accounts) -> None:
    worker = hanging(toy_row)
    heir = toy_row.workers.start(data="two")
    assert worker.wait(60) == 4
    said = worker.events("worker_failed")[0]["error"]
    assert f"Hung: agents have not given back records of {toy_row.additions}/{VICTIM} for 15 s" in said
    heir.until("task_ready", lambda events: len({event["task"] for event in events}) == 4, 60)
    toy_row.until_summed()
    assert heir.stop() == 0
    toy_row.assert_exact()


def test_faust_t25_a_worker_is_stopped_by_its_signal_though_no_broker_answers(frail: tuple[Accounts, Broker]) -> None:
    row, broker = frail
    worker = row.workers.ready()
    row.add(*[Addition(account, 1) for account in EACH])
    row.until_summed()
    with frozen(broker):
        begun = monotonic()
        assert worker.stop(30) == 0
        assert monotonic() - begun < 15


def test_faust_t26_a_busy_partition_is_not_held_up_by_those_that_have_nothing(toy_row: Accounts) -> None:
    """What was fetched waits for its agent: the next fetch asks the others alone, and in Faust lasts 1.5 s."""
    worker = toy_row.workers.ready(sabotage="sips")
    begun = monotonic()
    for _ in range(40):
        toy_row.add(*[Addition(ONE, 1)] * 10)
    toy_row.until_summed(within_s=100)
    took = monotonic() - begun
    assert took < 14, f"{took:.1f} s for some 40 fetches"
    assert worker.stop() == 0
    toy_row.assert_exact()


def test_faust_t35_a_topic_that_comes_late_is_waited_for_and_read_with_all_others(toy_row: Accounts) -> None:
    """Faust would subscribe to it 45 s later, or never when the group was rebalancing at that moment."""
    toy_row.kafka.create(f"{toy_row.prefix}notes", f"{toy_row.prefix}limits")
    worker = toy_row.workers.start(notes=True, sabotage="subscription")
    worker.until("topics_created", within_s=60)
    begun = monotonic()
    worker.until("task_ready", lambda events: len({event["task"] for event in events}) == 8, 60)
    assert LATE_S < monotonic() - begun < LATE_S + 30
    toy_row.add(*[Addition(account, 1) for account in EACH])
    toy_row.until_summed()
    assert [event["generation"] for event in worker.events("tasks_assigned")] == [1]
    assert worker.stop() == 0
    toy_row.assert_exact()
