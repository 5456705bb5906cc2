"""One transactional id against a real broker that does not always answer: rules X1, X3, X5 and T3."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka.client import CoordinationType
from aiokafka.structs import TopicPartition
from confluent_kafka import TopicPartition as Place

from app.engine import startup
from app.engine.broker.codes import Fenced, UnpinnedRecord
from app.engine.broker.holders import holder
from app.engine.broker.transaction_requests import InitProducerId
from app.engine.group import recovery
from app.engine.group.recovery import Refused, restore, stable_offsets
from app.engine.state.rocks import Identity, RocksStore
from app.engine.transactions.transaction import Claim, Transactions
from app.engine.transactions.transaction_versions import Version1, Version2
from tests.support.accounts import Accounts
from tests.support.kafka import Kafka
from tests.support.toy import Addition
from tests.support.transactions import NOBODY, LossyClient, batches, transactions, values

LAST_EPOCH = 32_766
ONE, TWO = "version 1", "version 2"
either_version = pytest.mark.parametrize("version", [ONE, TWO], indirect=True)  # each on a cluster that has it (X5)


@pytest.fixture
def version(request: pytest.FixtureRequest) -> str:
    return getattr(request, "param", TWO)


@pytest.fixture
def kafka(request: pytest.FixtureRequest, version: str, kafka: Kafka) -> Kafka:
    first: Kafka = request.getfixturevalue("kafka_version_1") if version == ONE else kafka
    return first


class Produced(NamedTuple):
    topics: list[Any]


@either_version
@pytest.mark.parametrize(
    "losing",
    [
        ("EndTxn",),
        ("Produce",),
        ("InitProducerId",),
        ("Produce", "EndTxn"),
        ("AddPartitionsToTxn", "AddOffsetsToTxn", "TxnOffsetCommit"),
    ],
)
async def test_x3_a_lost_answer_neither_loses_nor_repeats(
    kafka: Kafka, client: LossyClient, topic: str, prefix: str, losing: tuple[str, ...]
) -> None:
    """EndTxn repeated with the same pair settles it; a batch sent twice is known by its sequence."""
    client.losing, at = losing, TopicPartition(topic, 0)
    mine = await transactions(client, prefix)
    first = await mine.commit(batches(topic, b"1", b"2"), {at: 7}, NOBODY)
    second = await mine.commit(batches(topic, b"3"), {}, NOBODY)
    assert (set(client.losing) & set(client.sent), mine.trouble) == (set(), None)
    assert values(kafka, topic) == [b"1", b"2", b"3"]
    assert (first, second) == ({at: 0}, {at: 3})
    assert await stable_offsets(client, f"{prefix}group", [at]) == {at: 7}


def test_x3_a_duplicate_whose_offset_is_unknown_moves_no_offset() -> None:
    mine = Version1(client=None, transactional_id="t", group="g", timeout_ms=1)
    at = TopicPartition("outs", 0)
    left, bases = {at: b""}, {at: 5}
    answer = Produced([("outs", [(0, 46, -1, -1, 0, [], None, {})], {})])
    assert mine._produced(answer, left, bases) is None
    assert (left, bases) == ({}, {})


@either_version
async def test_x3_after_an_abort_the_sequences_begin_anew(
    kafka: Kafka, client: LossyClient, topic: str, prefix: str
) -> None:
    mine = await transactions(client, prefix)
    await mine.commit(batches(topic, b"1"), {}, NOBODY)
    await mine._produce_all(batches(topic, b"dropped"), {})
    await mine.abort()
    await mine.commit(batches(topic, b"2"), {}, NOBODY)
    assert values(kafka, topic) == [b"1", b"2"]


@either_version
async def test_x3_the_epoch_runs_over_to_a_new_producer_id(
    kafka: Kafka, client: LossyClient, topic: str, prefix: str
) -> None:
    """And who still has the old one is fenced: by code 49 then."""
    mine, zombie = await transactions(client, prefix), await transactions(client, prefix)
    await mine.init()
    node = await mine._coordinator(CoordinationType.TRANSACTION, mine._id)
    while mine._epoch < LAST_EPOCH - 6:
        count = min(500, LAST_EPOCH - 6 - mine._epoch)
        await asyncio.gather(*[_quick_init(mine, node) for _ in range(count)])
    await mine.init()
    zombie._producer_id, zombie._epoch = before = mine._producer_id, mine._epoch
    for n in range(10):
        mine._unanswered = True  # else version 1 stays under its epoch
        await mine.commit(batches(topic, b"%d" % n), {}, NOBODY)
    assert mine._producer_id != before[0]
    assert values(kafka, topic) == [b"%d" % n for n in range(10)]
    with pytest.raises(Fenced):
        await zombie.commit(batches(topic, b"zombie"), {TopicPartition(topic, 0): 1}, NOBODY)
    assert len(values(kafka, topic)) == 10


async def _quick_init(mine: Transactions, node: int) -> None:
    answer = await mine._send(node, InitProducerId(mine._id, 10_000, -1, -1, {}))
    if answer.error_code == 0:
        mine._epoch = max(mine._epoch, answer.epoch)


@either_version
async def test_x3_a_failed_requests_siblings_are_over_when_it_is_raised(
    client: LossyClient, topic: str, prefix: str
) -> None:
    mine = await transactions(client, prefix)
    before = asyncio.all_tasks()
    with pytest.raises(Fenced):
        await mine.commit(batches(topic, b"1"), {TopicPartition(topic, 0): 1}, Claim(99, "nobody", None))
    assert {task for task in asyncio.all_tasks() - before if "commit" in repr(task) or "produce" in repr(task)} == set()


@either_version
async def test_x1_a_newer_claimant_fences_and_a_stale_claim_of_the_group_too(
    kafka: Kafka, client: LossyClient, topic: str, prefix: str
) -> None:
    older, newer = await transactions(client, prefix), await transactions(client, prefix)
    with pytest.raises(Fenced):
        await older.commit(batches(topic, b"older"), {}, NOBODY)
    with pytest.raises(Fenced):
        await newer.commit(batches(topic, b"stale"), {TopicPartition(topic, 0): 5}, Claim(7, "gone", "gone"))
    await newer.init()
    await newer.commit(batches(topic, b"newer"), {}, NOBODY)
    assert values(kafka, topic) == [b"newer"]
    assert await stable_offsets(client, f"{prefix}group", [TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): -1}


@either_version
async def test_t3_positions_are_read_when_no_transaction_may_still_change_them(
    client: LossyClient, topic: str, prefix: str
) -> None:
    """The former owner's may still be on its way: what it says of states is in the changelog already."""
    mine, at = await transactions(client, prefix), TopicPartition(topic, 0)
    await mine._commit_positions({at: 5}, NOBODY)
    reading = asyncio.ensure_future(stable_offsets(client, f"{prefix}group", [at]))
    assert await stable_offsets(client, f"{prefix}another", [at]) == {at: -1}
    assert not reading.done()
    await mine._end()
    assert await reading == {at: 5}


async def test_h1_who_holds_a_partition_by_an_open_transaction_is_told(
    client: LossyClient, topic: str, prefix: str
) -> None:
    mine = await transactions(client, prefix)
    await mine._produce_all(batches(topic, b"held", number=1), {})
    assert await holder(client, TopicPartition(topic, 1)) == (mine._producer_id, mine._id)
    assert await holder(client, TopicPartition(topic, 0)) is None


@either_version
async def test_r2_a_batch_that_is_too_large_for_its_topic_is_told_from_other_failures(
    kafka: Kafka, client: LossyClient, prefix: str
) -> None:
    name = f"{prefix}small"
    kafka.create(name, max_message_bytes="10000")
    await client.set_topics([name])
    mine = await transactions(client, prefix)
    with pytest.raises(UnpinnedRecord, match="MessageSizeTooLarge"):
        await mine.commit(batches(name, bytes(20_000)), {}, NOBODY)
    await mine.abort()
    await mine.commit(batches(name, b"small"), {}, NOBODY)
    assert values(kafka, name) == [b"small"]


@either_version
async def test_a_record_larger_than_a_batch_has_one_of_its_own(
    kafka: Kafka, client: LossyClient, topic: str, prefix: str
) -> None:
    mine = await transactions(client, prefix)
    sizes = [10, 1_000_000, 10, 600_000, 600_000]
    bases = await mine.commit(batches(topic, *[bytes(size) for size in sizes]), {}, NOBODY)
    assert [len(value or b"") for value in values(kafka, topic)] == sizes
    assert 0 < bases[TopicPartition(topic, 0)] <= 4


async def test_s6_a_log_that_stays_hidden_is_refused_and_says_where(
    toy_row: Accounts, client: LossyClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "HELD_S", 0.5)
    store = RocksStore(tmp_path / "task-0", Identity("c", "t"), oldest_ms=0, clock_ms=1)
    name, at = toy_row.alarms_topic, TopicPartition(toy_row.alarms_topic, 0)
    await client.set_topics([name])
    with toy_row.open_transaction() as producer:
        producer.produce(name, partition=0, key=b"\1a", value=b"x")
        producer.flush(10)
        with pytest.raises(Refused, match=f"{name}/0: held by an open transaction at 0, its end is 1"):
            await restore(client, at, store, lambda _done, _left: None)
    store.close()


@either_version
async def test_x5_the_version_is_the_one_that_the_cluster_has_finalized(version: str, client: LossyClient) -> None:
    """Both brokers are of one release, and could do either."""
    assert await startup.choose_version(client) is {ONE: Version1, TWO: Version2}[version]


async def test_x5_an_id_goes_from_one_version_to_the_other_and_back(
    kafka: Kafka, client: LossyClient, topic: str, prefix: str
) -> None:
    """A worker that was started before the feature was raised goes on with version 1."""
    kinds: list[type[Version1 | Version2]] = [Version1, Version2, Version1, Version2]
    at = TopicPartition(topic, 0)
    for number, kind in enumerate(kinds):
        mine = kind(client, f"{prefix}id", f"{prefix}group", 10_000)
        await mine.init()
        await mine.commit(batches(topic, b"%d" % number), {at: number}, NOBODY)
    assert values(kafka, topic) == [b"0", b"1", b"2", b"3"]
    assert await stable_offsets(client, f"{prefix}group", [at]) == {at: 3}


def test_x1_outputs_states_and_positions_are_one_transaction(toy_row: Accounts) -> None:
    """Killed before its end, all of them are in the logs and none of them counts."""
    toy_row.workers.ready().stop()
    doomed = toy_row.workers.start(fault="kill@before_end")
    toy_row.add(*[Addition(f"a-{n}", 1, 100) for n in range(40)])
    assert doomed.wait() == -9
    ends = {topic: uncommitted(toy_row.kafka, topic) for topic in (toy_row.sums_topic, toy_row.changelog)}
    assert all(end > 0 for end in ends.values())
    assert (toy_row.sums(), toy_row.logged()) == ({}, ({}, {}))
    assert all(offset < 0 for offset in toy_row.kafka.committed(toy_row.group).values())
    worker = toy_row.workers.ready()
    toy_row.until_alarmed(*[f"a-{n}" for n in range(40)])
    assert worker.stop() == 0
    toy_row.assert_exact()


def uncommitted(kafka: Kafka, topic: str) -> int:
    with kafka._reader(topic, isolation="read_uncommitted") as reader:
        marks = [reader.get_watermark_offsets(Place(topic, number), timeout=10) for number in range(4)]
    return sum(end for _, end in marks)
