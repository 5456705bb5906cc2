"""What people look at in a topic: its newest records, and those that come, on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app.engine import tail
from app.engine.tail import Log, Seen, following, newest
from app.wire.codec import Verbatim
from app.wire.partition import partition
from app.wire.topics import Topic
from tests.support.kafka import Kafka, Written
from tests.support.transactions import LossyClient

PARTITIONS = 2
ANY: Callable[[Seen], bool] = lambda _: True  # noqa: E731


def log(topic: str) -> Log:
    return Log(Topic(topic, Verbatim()), PARTITIONS)


def numbers(seen: list[Seen]) -> list[int]:
    return [int(each.value) for each in seen]


def write(kafka: Kafka, topic: str, key: str, *values: int) -> None:
    kafka.write(topic, *(Written(key, str(value).encode()) for value in values))


async def test_the_newest_of_one_key_are_found_behind_many_of_others(
    kafka: Kafka, client: LossyClient, topic: str
) -> None:
    other = next(key for key in map(str, range(99)) if partition(key.encode(), 2) == partition(b"pay", 2))
    write(kafka, topic, "pay", *range(100))
    write(kafka, topic, other, *range(3 * tail.FIRST))
    write(kafka, topic, "pay", 100)
    assert numbers(await newest(client, log(topic), "pay", ANY, 5)) == [96, 97, 98, 99, 100]
    assert numbers(await newest(client, log(topic), "pay", lambda seen: int(seen.value) % 50 == 0, 5)) == [0, 50, 100]


async def test_of_all_keys_each_partition_has_its_newest(kafka: Kafka, client: LossyClient, topic: str) -> None:
    first, second = (next(key for key in map(str, range(99)) if partition(key.encode(), 2) == n) for n in (0, 1))
    write(kafka, topic, first, 1, 2, 3)
    write(kafka, topic, second, 4, 5)
    assert numbers(await newest(client, log(topic), None, ANY, 2)) == [2, 3, 4, 5]


async def test_it_looks_no_further_back_than_told(
    kafka: Kafka, client: LossyClient, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "MOST", 10)
    write(kafka, topic, "pay", *range(50))
    assert numbers(await newest(client, log(topic), "pay", ANY, 100)) == list(range(40, 50))


async def test_what_has_expired_and_an_empty_topic_are_no_hindrance(
    kafka: Kafka, client: LossyClient, topic: str
) -> None:
    assert await newest(client, log(topic), None, ANY, 5) == []
    write(kafka, topic, "pay", *range(10))
    kafka.cut(topic, {partition(b"pay", 2): 8})
    assert numbers(await newest(client, log(topic), "pay", ANY, 5)) == [8, 9]


async def test_what_comes_is_handed_on_and_what_was_there_is_not(kafka: Kafka, client: LossyClient, topic: str) -> None:
    write(kafka, topic, "pay", 1)
    heard: asyncio.Queue[Seen] = asyncio.Queue()
    async with following(client, [log(topic)], heard.put_nowait), asyncio.timeout(20):
        await asyncio.to_thread(write, kafka, topic, "pay", 2, 3)
        found = [await heard.get(), await heard.get()]
    assert [(each.key, each.value) for each in found] == [("pay", b"2"), ("pay", b"3")]
    assert all(each.at > 1_700_000_000_000 for each in found)
