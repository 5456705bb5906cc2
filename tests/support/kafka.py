"""What a test does to Kafka from outside: topics and bytes, through another client than the product's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

ANSWER_S = 20.0
POLL_S = 0.2

Headers = tuple[tuple[str, bytes], ...]


class Written(NamedTuple):
    """One committed record. Without a partition given, a write takes the one that murmur2 of the key says."""

    key: str | None
    value: bytes | None
    headers: Headers = ()
    partition: int = -1
    offset: int = -1
    timestamp_ms: int = 0


class Part(NamedTuple):
    """A partition as the cluster has it. -1: nobody leads it."""

    topic: str
    number: int
    leader: int
    replicas: int
    in_sync: int


class Kafka:
    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "linger.ms": 0,
                "max.in.flight": 1,  # else what is sent again, to a topic that has only just been made, comes later
            }
        )

    def create(self, *topics: str, partitions: int = 4, **config: str) -> None:
        """Config names with `_` for `.`: `create("t", cleanup_policy="compact")`. Returns when they can be used."""
        settings = {name.replace("_", "."): value for name, value in config.items()}
        made = self._admin.create_topics([NewTopic(topic, partitions, -1, config=settings) for topic in topics])
        for done in made.values():
            done.result(ANSWER_S)
        wait_for(lambda: set(topics) <= set(self.topics()), f"the topics {topics} to be seen")

    def grow(self, topic: str, partitions: int) -> None:
        for done in self._admin.create_partitions([NewPartitions(topic, partitions)]).values():
            done.result(ANSWER_S)
        wait_for(lambda: self.topics()[topic] == partitions, f"{topic} to have {partitions} partitions")

    def configure(self, topic: str, **config: str) -> None:
        """Names as for `create`; what is not named stays as it is."""
        entries = [
            ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        for done in self._admin.incremental_alter_configs([resource]).values():
            done.result(ANSWER_S)

    def delete(self, *topics: str) -> None:
        for done in self._admin.delete_topics(list(topics)).values():
            done.result(ANSWER_S)
        wait_for(lambda: not set(topics) & set(self.topics()), f"the topics {topics} to be gone")

    def topics(self) -> dict[str, int]:
        """Of each topic the number of its partitions."""
        found = self._admin.list_topics(timeout=ANSWER_S).topics
        return {name: len(topic.partitions) for name, topic in found.items()}

    def parts(self) -> list[Part]:
        """Of all topics, the cluster's own among them."""
        topics = self._admin.list_topics(timeout=ANSWER_S).topics
        return [
            Part(name, number, part.leader, len(part.replicas), len(part.isrs))
            for name, topic in topics.items()
            for number, part in topic.partitions.items()
        ]

    def write(self, topic: str, *records: Written | tuple[str | None, bytes | None]) -> None:
        """Returns when all are acknowledged."""
        failures: list[KafkaError] = []

        def acknowledged(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error)

        for record in (Written(*given) for given in records):
            self._producer.produce(
                topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                partition=record.partition,
                timestamp=record.timestamp_ms,
                on_delivery=acknowledged,
            )
            self._producer.poll(0)
        if self._producer.flush(ANSWER_S) or failures:
            raise AssertionError(f"{topic}: not all of {len(records)} records were written: {failures[:3]}")

    def read(self, topic: str, *, count: int, within_s: float = 10.0) -> list[Written]:
        """The first `count` committed records, as they come."""
        return self.read_until(topic, lambda found: len(found) >= count, within_s=within_s)

    def read_until(
        self, topic: str, enough: Callable[[list[Written]], bool], *, within_s: float = 30.0
    ) -> list[Written]:
        """All committed records from the beginning on, until there are enough; each partition's are in order."""
        found: list[Written] = []
        with self._reader(topic) as reader:
            deadline = time.monotonic() + within_s
            while not enough(found):
                if time.monotonic() > deadline:
                    last = "\n".join(map(str, found[-5:]))
                    raise AssertionError(
                        f"{topic}: not enough after {within_s:g} s; {len(found)} records, the last:\n{last}"
                    )
                found += written(reader.consume(500, POLL_S))
        return found

    def read_all(self, topic: str) -> list[Written]:
        """The committed records that there are now, by partition and offset."""
        found: list[Written] = []
        ended: set[int] = set()
        with self._reader(topic) as reader:
            deadline = time.monotonic() + ANSWER_S
            while len(ended) < self.topics()[topic]:
                assert time.monotonic() < deadline, f"{topic}: no end of partitions {ended} reached"
                messages = reader.consume(500, POLL_S)
                ended |= {at for message in messages if (at := ended_partition(message)) is not None}
                found += written(messages)
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """Of each partition the offset that the group goes on from."""
        asked = [ConsumerGroupTopicPartitions(group)]
        answer = self._admin.list_consumer_group_offsets(asked)[group].result(ANSWER_S)
        return {(at.topic, at.partition): at.offset for at in answer.topic_partitions}

    def idle(self, group: str) -> bool:
        """Whether it has no members."""
        return not self._admin.describe_consumer_groups([group])[group].result(ANSWER_S).members

    def forget_group(self, group: str) -> None:
        """The group must have no members."""
        for done in self._admin.delete_consumer_groups([group]).values():
            done.result(ANSWER_S)

    def cut(self, topic: str, before: dict[int, int]) -> None:
        """Drop the records of each partition before an offset, as retention does."""
        cuts = [TopicPartition(topic, number, offset) for number, offset in before.items()]
        for done in self._admin.delete_records(cuts).values():
            done.result(ANSWER_S)

    def end_offsets(self, topic: str) -> dict[int, int]:
        with self._reader(topic) as reader:
            return {
                partition: reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_S)[1]
                for partition in range(self.topics()[topic])
            }

    def _reader(self, topic: str, isolation: str = "read_committed") -> Consumer:
        reader = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "a-test-reads",
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
            }
        )
        count = self.topics()[topic]
        reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(count)])
        return reader


def written(messages: Iterable[Message]) -> list[Written]:
    return [as_written(message) for message in messages if ended_partition(message) is None]


def as_written(message: Message) -> Written:
    key, partition, offset = message.key(), message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return Written(
        key=None if key is None else key.decode(errors="surrogateescape"),
        value=message.value(),
        headers=cast("Headers", tuple(message.headers() or ())),  # typed for both ways; a consumer's are such pairs
        partition=partition,
        offset=offset,
        timestamp_ms=message.timestamp()[1],
    )


def ended_partition(message: Message) -> int | None:
    """The partition whose end the message is; None for a record. Raises KafkaException for anything else."""
    error = message.error()
    if error is None:
        return None
    if error.code() == KafkaError._PARTITION_EOF:
        return message.partition()
    raise KafkaException(error)


def wait_for(condition: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {within_s:g} s for {what}"
        time.sleep(0.02)
