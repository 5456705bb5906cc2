"""What a topic takes at once, on real Kafka: rule R2."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.client import AIOKafkaClient

from app.engine.broker import cluster
from app.engine.broker.cluster import Cluster
from tests.support.accounts import Accounts
from tests.support.kafka import Kafka, wait_for
from tests.support.toy import Addition


def test_r2_what_a_topic_takes_at_once_is_kept_to(toy_row: Accounts) -> None:
    """Ten times as much as that in one transaction, and two outs that do not even fit alone: nobody goes back."""
    toy_row.kafka.delete(toy_row.sums_topic)
    toy_row.kafka.create(toy_row.sums_topic, max_message_bytes="5000")
    toy_row.workers.ready().stop()
    fits, *large = [Addition("x" * length, 1) for length in (2_430, 2_500, 6_000)]  # in the out's key and in its value
    toy_row.add(*[Addition(f"a-{n % 40}", 1) for n in range(4_000)], *large, fits)
    toy_row.added -= 2
    worker = toy_row.workers.ready()
    toy_row.until_summed()
    assert set(toy_row.letters(2)) == {(addition.account, "too-large") for addition in large}
    assert worker.events("rewind") == []
    assert worker.stop() == 0
    toy_row.assert_exact()


def until_known(known: Cluster, topic: str, limit: int) -> None:
    wait_for(lambda: known.limits.of(topic, 0) == limit, f"the limit {limit}")


async def test_r2_a_limit_that_is_changed_while_the_worker_runs_is_read_again(
    kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a topic that is not there has none."""
    monkeypatch.setattr(cluster, "WATCH_S", 0.05)
    topic, known = f"{prefix}outs", Cluster()
    kafka.create(topic, max_message_bytes="5000")
    client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap)
    await client.bootstrap()
    assert await cluster.limits(client, [topic, f"{prefix}gone"]) == {topic: 5_000}
    await cluster.look(client, [topic], known)
    watching = asyncio.ensure_future(cluster.watch(client, known, lambda: None))
    try:
        for limit in (5_000, 7_000):
            kafka.configure(topic, max_message_bytes=str(limit))
            await asyncio.to_thread(until_known, known, topic, limit)
    finally:
        watching.cancel()
        await client.close()
