"""What version 1 of transactions needs that version 2 does not: rules X3, X4 and X5."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.structs import TopicPartition

from app.engine.broker.codes import Fenced, TopicGone
from app.engine.transactions import transaction
from app.engine.transactions.transaction import SEQUENCES
from app.engine.transactions.transaction_versions import Version1
from tests.support.kafka import Kafka
from tests.support.transactions import NOBODY, LossyClient, batches, transactions, values


@pytest.fixture
def kafka(kafka_version_1: Kafka) -> Kafka:
    return kafka_version_1


async def test_x5_partitions_and_group_are_added_once_before_anything_is_written(
    client: LossyClient, topic: str, prefix: str
) -> None:
    mine = await transactions(client, prefix)
    client.sent.clear()
    two = batches(topic, b"1", number=0) | batches(topic, b"2", number=1)
    await mine.commit(two, {TopicPartition(topic, 0): 1}, NOBODY)
    assert client.sent.count("AddPartitionsToTxn") == client.sent.count("AddOffsetsToTxn") == 1
    assert client.sent.index("AddPartitionsToTxn") < client.sent.index("Produce")
    assert client.sent.index("AddOffsetsToTxn") < client.sent.index("TxnOffsetCommit")


async def test_x5_epoch_and_sequences_go_on_from_transaction_to_transaction(
    kafka: Kafka, client: LossyClient, topic: str, prefix: str
) -> None:
    """Over the last sequence, too, in the middle of a batch."""
    mine, at = await transactions(client, prefix), TopicPartition(topic, 0)
    mine._sequences[at], epoch = SEQUENCES - 3, mine._epoch
    for first in (b"1", b"3", b"5"):
        await mine.commit(batches(topic, first, b"+"), {}, NOBODY)
    assert (mine._epoch, mine._sequences[at]) == (epoch, 3)
    assert values(kafka, topic) == [b"1", b"+", b"3", b"+", b"5", b"+"]


async def test_x3_an_end_that_comes_late_ends_no_later_transaction(
    kafka: Kafka, client: LossyClient, topic: str, prefix: str
) -> None:
    mine = await transactions(client, prefix)
    client.delaying = ("EndTxn",)
    await mine.commit(batches(topic, b"1"), {}, NOBODY)
    await mine._produce_all(batches(topic, b"2"), {})
    assert (await client.deliver()).error_code != 0
    await mine._produce_all(batches(topic, b"3"), {})
    assert values(kafka, topic) == [b"1"]
    await mine._end()
    assert values(kafka, topic) == [b"1", b"2", b"3"]


async def test_x3_what_comes_late_after_an_abort_is_in_no_later_transaction(
    kafka: Kafka, client: LossyClient, topic: str, prefix: str
) -> None:
    mine = Version1(client, f"{prefix}id", f"{prefix}group", 10_000)
    await mine.init()
    await mine.commit(batches(topic, b"1"), {}, NOBODY)
    client.delaying = ("Produce",)
    giving_up = asyncio.ensure_future(mine._produce_all(batches(topic, b"dropped"), {}))
    await client.has_late.wait()
    giving_up.cancel()
    await mine.abort()
    await mine._add_partitions([TopicPartition(topic, 0)])
    await client.deliver()
    await mine.commit(batches(topic, b"2"), {}, NOBODY)
    assert values(kafka, topic) == [b"1", b"2"]


async def test_x3_an_end_whose_outcome_is_unknown_is_not_taken_as_aborted(
    kafka: Kafka, client: LossyClient, topic: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It held, and before that could be told somebody else took the id: nothing is repeated, the log decides."""
    mine = await transactions(client, prefix)
    asked = mine._ask

    async def taken_over(request: object) -> object:
        answer = await asked(request)
        if type(request).__name__ != "EndTxn":
            return answer
        monkeypatch.undo()
        await transactions(client, prefix)
        raise ConnectionError("the answer was lost")

    monkeypatch.setattr(mine, "_ask", taken_over)
    with pytest.raises(Fenced, match="EndTxn"):
        await mine.commit(batches(topic, b"1"), {}, NOBODY)
    assert values(kafka, topic) == [b"1"]


async def test_x4_a_topic_that_is_gone_before_it_is_added_is_named(
    kafka: Kafka, client: LossyClient, topic: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "GONE_AFTER", 3)
    mine = await transactions(client, prefix)
    kafka.delete(topic)
    gone = rf"{topic}/0 .* any more: was the topic deleted"
    async with asyncio.timeout(30):
        with pytest.raises(TopicGone, match=gone):
            await mine.commit(batches(topic, b"1"), {}, NOBODY)
