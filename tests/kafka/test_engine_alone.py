"""Rule S4: who settles positions by hand is alone in the group, and says so to whoever comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from app.engine.broker.admin import Refused
from app.engine.broker.codes import Fenced
from app.engine.group import group
from app.engine.offsets import alone as module
from app.engine.offsets.alone import alone
from app.engine.startup import choose_version
from app.engine.tasks.outbox import Outbox
from tests.support.accounts import Accounts
from tests.support.kafka import Kafka
from tests.support.toy import Addition
from tests.support.workers import PARTITIONS


@pytest.fixture
async def client(kafka: Kafka) -> AsyncIterator[AIOKafkaClient]:
    group.install()
    made = AIOKafkaClient(bootstrap_servers=kafka.bootstrap)
    await made.bootstrap()
    yield made
    await made.close()


async def test_s4_a_worker_that_comes_while_positions_are_settled_waits_and_then_runs(
    toy_row: Accounts, client: AIOKafkaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STAY_MS", 60_000)  # a worker takes a while to start
    async with alone(client, toy_row.group):
        worker = toy_row.workers.start()
        (held,) = worker.until("group_held")
        assert (held["group"], held["level"]) == (toy_row.group, "warning")
        with pytest.raises(Refused, match="has members"):
            async with alone(client, toy_row.group):
                pass
        assert worker.events("tasks_assigned") == worker.events("task_ready") == []
    worker.until("task_ready", lambda events: len({event["task"] for event in events}) >= PARTITIONS)
    assert worker.events("group_held") == [held]
    with pytest.raises(Refused, match=f"group {toy_row.group} has members: faust"):
        async with alone(client, toy_row.group):
            pass
    toy_row.add(Addition("a-1", 1))
    toy_row.until_summed()
    assert worker.stop() == 0
    toy_row.assert_exact()


async def test_s4_a_worker_that_waits_for_the_group_ends_when_it_is_told_to(
    toy_row: Accounts, client: AIOKafkaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STAY_MS", 60_000)
    async with alone(client, toy_row.group):
        worker = toy_row.workers.start()
        worker.until("group_held")
        assert worker.stop() == 0


async def test_s4_who_has_left_commits_nothing_more(toy_row: Accounts, client: AIOKafkaClient) -> None:
    """As one that was frozen until its time in the group was over."""
    mine = (await choose_version(client))(client, f"{toy_row.prefix}id", toy_row.group, 10_000)
    await mine.init()
    async with alone(client, toy_row.group) as claim:
        pass
    with pytest.raises(Fenced):
        await mine.commit(Outbox().take(), {TopicPartition(toy_row.sums_topic, 0): 0}, claim)
