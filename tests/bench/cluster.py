"""What the harness asks of Kafka, beside whoever is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.bench.workloads import PARTITIONS, Pair

QUEUE = 1_000_000
AT_ONCE = 100  # topics
LIMIT_S = 180.0  # for reading what came out
Sendable = tuple[bytes, bytes, Sequence[tuple[str, bytes]]]  # key, value, headers
QUIET: dict[str, str | int | float | bool] = {"log_level": 2}


class Failed(Exception):
    """What was to be measured did not come to its end."""


class Cluster:
    """`runs`: where logs and states of what is measured lie."""

    def __init__(self, bootstrap: str, broker_pid: int, runs: Path) -> None:
        self.bootstrap, self.broker_pid, self.runs = bootstrap, broker_pid, runs
        self._admin = AdminClient({"bootstrap.servers": bootstrap, **QUIET})
        self._looking = self.consumer({"isolation.level": "read_uncommitted"})

    def create(self, *names: str, partitions: int = PARTITIONS, config: Mapping[str, str] | None = None) -> None:
        kept = dict(config or {"retention.ms": "-1"})
        topics = [NewTopic(name, partitions, 1, config=kept) for name in names]
        for first in range(0, len(topics), AT_ONCE):
            for made in self._admin.create_topics(topics[first : first + AT_ONCE], operation_timeout=60).values():
                made.result()

    def delete_like(self, *parts: str) -> None:
        """Topics whose names have one of them."""
        names = [name for name in self._admin.list_topics(timeout=10).topics if any(part in name for part in parts)]
        for first in range(0, len(names), AT_ONCE):
            for gone in self._admin.delete_topics(names[first : first + AT_ONCE]).values():
                gone.result()

    def producer(self, **config: object) -> Producer:
        """Partitions keys as a Java client does (murmur2)."""
        return Producer({"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random"} | QUIET | config)

    def forget_group(self, group: str) -> None:
        """Also one that the broker has forgotten itself: with the last of its topics its positions go."""
        for gone in self._admin.delete_consumer_groups([group]).values():
            try:
                gone.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                    raise

    def preload(self, topic: str, pairs: Iterable[Pair], partitions: int = PARTITIONS) -> int:
        """Returns how many there were."""
        self.create(topic, partitions=partitions)
        return self.send(topic, ((key, value, []) for key, value in pairs))

    def send(self, topic: str, records: Iterable[Sendable]) -> int:
        """Returns how many there were."""
        batching = {"linger.ms": 50, "batch.size": 1_000_000, "queue.buffering.max.messages": QUEUE}
        producer = self.producer(**{"enable.idempotence": True}, **batching)
        count = 0
        for key, value, headers in records:
            if len(producer) > QUEUE // 2:
                producer.flush(60)
            producer.produce(topic, value, key, headers=list(headers))
            count += 1
        assert producer.flush(120) == 0, f"{topic}: not everything was delivered"
        return count

    def place(self, topic: str, records: Iterable[tuple[int, Pair]]) -> None:
        """Each on its partition."""
        producer = self.producer(**{"linger.ms": 50, "batch.size": 1_000_000, "queue.buffering.max.messages": QUEUE})
        for number, (key, value) in records:
            if len(producer) > QUEUE // 2:
                producer.flush(60)
            producer.produce(topic, value, key, number)
        assert producer.flush(120) == 0, f"{topic}: not everything was delivered"

    def ends(self, topic: str) -> dict[int, int]:
        """High watermarks by partition: what an open transaction has written is before them."""
        numbers = self._looking.list_topics(topic, 10).topics[topic].partitions
        return {number: self._looking.get_watermark_offsets(TopicPartition(topic, number))[1] for number in numbers}

    def records(self, topic: str, since: Mapping[int, int] | None = None) -> Iterator[Pair]:
        """`since`: offsets by partition. Raises Failed."""
        return ((key, value) for _, key, value in self.all_records([topic], since or {}))

    def all_records(self, topics: Iterable[str], since: Mapping[int, int]) -> Iterator[tuple[str, bytes, bytes]]:
        """Every committed record up to the high watermarks; none has an empty key or value. Raises Failed."""
        ends = {(topic, number): end for topic in topics for number, end in self.ends(topic).items()}
        left = {at: end for at, end in ends.items() if end > since.get(at[1], 0)}
        consumer = self.consumer({"enable.partition.eof": True, "fetch.max.bytes": 10_000_000})
        consumer.assign([TopicPartition(topic, number, since.get(number, 0)) for topic, number in left])
        limit = time.monotonic() + LIMIT_S
        while left:
            if time.monotonic() > limit:
                raise Failed(f"not read to their ends: {left}")
            for message in consumer.consume(10_000, 1):
                at = (message.topic() or "", message.partition() or 0)
                if message.error() is None:
                    yield at[0], message.key() or b"", message.value() or b""
                elif reached(message) >= left.get(at, 0):
                    left.pop(at, None)
        consumer.close()

    def consumer(self, config: dict[str, object]) -> Consumer:
        common = {"bootstrap.servers": self.bootstrap, "group.id": "harness", "enable.auto.commit": False}
        return Consumer(common | {"isolation.level": "read_committed"} | QUIET | config)

    def committed(self, group: str, topic: str, partitions: int = PARTITIONS) -> Callable[[], int]:
        """A look at the sum of the positions that the group has committed; pending ones do not count."""
        consumer = self.consumer({"group.id": group, "isolation.level": "read_uncommitted"})
        asked = [TopicPartition(topic, number) for number in range(partitions)]

        def look() -> int:
            try:
                found = consumer.committed(asked, timeout=5)
            except KafkaException:  # no coordinator yet
                return 0
            return sum(max(0, at.offset) for at in found)

        return look


def reached(message: Message) -> int:
    """The offset of an end; anything else that went wrong is tried again by the client."""
    error = message.error()
    at_its_end = error is not None and error.code() == KafkaError._PARTITION_EOF
    return (message.offset() or 0) if at_its_end else -1
