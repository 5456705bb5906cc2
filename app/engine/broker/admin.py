"""Kafka as the command line needs it: topics, raw records up to the end, raw records in transactions. No Faust."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerFenced
from aiokafka.structs import TopicPartition

from app.engine.broker import admission, cluster
from app.engine.broker.access import Access
from app.wire.codec import Headers
from app.wire.topics import Topic

POLL_MS = 200
SETTLED_S = 30.0
LONGEST_REQUEST = 64 << 20  # the broker's `max.message.bytes` is what counts


class Refused(Exception):
    """What the cluster does not do, in one line."""


class RawRecord(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class RawOut(NamedTuple):
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Admin:
    """Made by `connected`."""

    def __init__(self, access: Access, client: AIOKafkaClient) -> None:
        self.access, self.client = access, client

    async def topics(self) -> dict[str, int]:
        """Partitions by topic, of all that there are."""
        found = await self.client.fetch_all_metadata()
        return {name: len(found.partitions_for_topic(name) or ()) for name in found.topics()}

    async def configs(self, topics: Sequence[str]) -> dict[str, dict[str, str]]:
        admin = AIOKafkaAdminClient(**self.access.arguments)
        await admin.start()
        try:
            asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
            answers = await admin.describe_configs(asked) if asked else []
        finally:
            await admin.close()
        resources = [resource for answer in answers for resource in answer.resources]
        return {name: {entry[0]: entry[1] for entry in entries} for code, _, _, name, entries in resources if code == 0}

    async def create(self, topics: Mapping[Topic, int], replication: int) -> None:
        """Returns when they can be used."""
        await cluster.create(self.client, topics, replication)
        await cluster.until_led(self.client, [topic.name for topic in topics], cluster.Cluster())

    async def read(
        self,
        topic: str,
        partitions: Iterable[int] | None = None,
        *,
        since_ms: int | None = None,
        since: int = 0,
    ) -> AsyncIterator[RawRecord]:
        """Committed records up to the end that the topic has now; those of an open transaction are not among them.

        From the beginning, from the offset `since` of each partition, or from the first record of `since_ms` or later.
        """
        async with self._reader("read_committed") as reader:
            at = await self._partitions(topic, partitions)
            ends = await reader.end_offsets(at)
            begins = await reader.beginning_offsets(at)
            starts = {each: max(begins[each], since) for each in at}
            if since_ms is not None:
                found = await reader.offsets_for_times(dict.fromkeys(at, since_ms))
                starts = {each: ends[each] if found[each] is None else found[each].offset for each in at}
            left = {each for each in at if starts[each] < ends[each]}
            reader.assign(left)
            for each in left:
                reader.seek(each, starts[each])
            while left:
                for each, records in (await reader.getmany(*left, timeout_ms=POLL_MS)).items():
                    for record in records:
                        if record.offset < ends[each]:
                            yield _raw(each, record)
                left = {each for each in left if await reader.position(each) < ends[each]}

    async def count(self, topic: str) -> int:
        """Records that reading would meet, transaction markers among them."""
        async with self._reader("read_committed") as reader:
            at = await self._partitions(topic, None)
            ends, begins = await reader.end_offsets(at), await reader.beginning_offsets(at)
            return sum(ends[each] - begins[each] for each in at)

    async def settled(self, topic: str, within_s: float = SETTLED_S) -> None:
        """Returns when whatever was written by now can be read committed. Raises Refused."""
        at = await self._partitions(topic, None)
        async with self._reader("read_uncommitted") as all_of_it, self._reader("read_committed") as committed:
            written = await all_of_it.end_offsets(at)
            deadline = monotonic() + within_s
            while await _behind(committed, written):
                if monotonic() > deadline:
                    raise Refused(f"{topic}: a transaction of another writer stays open; try again when it has ended")
                await asyncio.sleep(POLL_MS / 1000)

    async def send(self, outs: Iterable[RawOut]) -> None:
        """Each on its own; returns when all are acknowledged."""
        producer = AIOKafkaProducer(**self.access.arguments, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            await _send_all(producer, outs)
        finally:
            await producer.stop()

    @asynccontextmanager
    async def sender(self, transactional_id: str) -> AsyncIterator[Sender]:
        """Whoever had the id before is fenced, and what it had open is aborted: when this returns, both hold."""
        producer = AIOKafkaProducer(
            **self.access.arguments,
            transactional_id=transactional_id,
            acks="all",
            max_request_size=LONGEST_REQUEST,
            linger_ms=0,
        )
        await producer.start()
        try:
            yield Sender(producer)
        except ProducerFenced as fenced:
            raise Refused(
                f"{transactional_id}: somebody else took over; nothing of the last batch was sent"
            ) from fenced
        finally:
            await producer.stop()

    async def _partitions(self, topic: str, partitions: Iterable[int] | None) -> list[TopicPartition]:
        counts = await self.topics()
        if topic not in counts:
            raise Refused(f"there is no topic {topic}")
        wanted = range(counts[topic]) if partitions is None else partitions
        return [TopicPartition(topic, number) for number in wanted if number < counts[topic]]

    @asynccontextmanager
    async def _reader(self, isolation: str) -> AsyncIterator[AIOKafkaConsumer]:
        reader = AIOKafkaConsumer(
            **self.access.arguments,
            isolation_level=isolation,
            enable_auto_commit=False,
            fetch_max_wait_ms=POLL_MS,
        )
        await reader.start()
        try:
            yield reader
        finally:
            await reader.stop()


class Sender:
    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(self, outs: Iterable[RawOut]) -> None:
        """All of them in one transaction, or none; returns when they are committed."""
        async with self._producer.transaction():
            await _send_all(self._producer, outs)


async def _send_all(producer: AIOKafkaProducer, outs: Iterable[RawOut]) -> None:
    sent = [
        await producer.send(out.topic, out.value, key=out.key, partition=out.partition, headers=list(out.headers))
        for out in outs
    ]
    await asyncio.gather(*sent)


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[Admin]:
    """Raises Refused where no broker answers or lets this client in, and for what a broker refuses."""
    client = AIOKafkaClient(**access.arguments)
    try:
        await admission.reach(client, access)
        yield Admin(access, client)
    except (admission.TurnedAway, admission.NoBroker) as error:
        raise Refused(error.args[0]) from error
    except KafkaConnectionError as error:
        raise Refused(f"no Kafka broker answers at {access.bootstrap} any more: {error}") from error
    except KafkaError as error:
        raise Refused(f"the broker at {access.bootstrap} says {type(error).__name__}: {error}") from error
    finally:
        await client.close()


async def _behind(committed: AIOKafkaConsumer, written: Mapping[TopicPartition, int]) -> bool:
    stable = await committed.end_offsets(list(written))
    return any(stable[each] < end for each, end in written.items())


def _raw(at: TopicPartition, record: Any) -> RawRecord:
    return RawRecord(at.topic, at.partition, record.offset, record.timestamp, record.key, record.value, record.headers)
