"""What the harness asks of Kafka, beside whoever is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.bench.workloads import PARTITIONS, Pair

QUEUE = 1_000_000
Sendable = tuple[bytes, bytes, Sequence[tuple[str, bytes]]]  # key, value, headers
QUIET: dict[str, str | int | float | bool] = {"log_level": 2}


class Cluster:
    def __init__(self, bootstrap: str, broker_pid: int) -> None:
        self.bootstrap, self.broker_pid = bootstrap, broker_pid
        self._admin = AdminClient({"bootstrap.servers": bootstrap, **QUIET})

    def create(self, *names: str) -> None:
        topics = [NewTopic(name, PARTITIONS, 1, config={"retention.ms": "-1"}) for name in names]
        for made in self._admin.create_topics(topics, operation_timeout=30).values():
            made.result()

    def delete_like(self, part: str) -> None:
        names = [name for name in self._admin.list_topics(timeout=10).topics if part in name]
        for gone in self._admin.delete_topics(names).values() if names else ():
            gone.result()

    def producer(self, **config: object) -> Producer:
        """Partitions keys as a Java client does (murmur2)."""
        return Producer({"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random"} | QUIET | config)

    def preload(self, topic: str, pairs: Iterable[Pair]) -> None:
        self.create(topic)
        self.send(topic, ((key, value, []) for key, value in pairs))

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

    def records(self, topic: str) -> Iterator[Pair]:
        """Every committed record of a topic; none has an empty key or value."""
        consumer = self.consumer({"enable.partition.eof": True, "fetch.max.bytes": 10_000_000})
        left = set(consumer.list_topics(topic, 10).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, number, 0) for number in left])
        while left:
            for message in consumer.consume(10_000, 1):
                if message.error():
                    left.discard(message.partition())
                else:
                    yield message.key() or b"", message.value() or b""
        consumer.close()

    def consumer(self, config: dict[str, object]) -> Consumer:
        common = {"bootstrap.servers": self.bootstrap, "group.id": "harness", "enable.auto.commit": False}
        return Consumer(common | {"isolation.level": "read_committed"} | QUIET | config)

    def committed(self, group: str, topic: str) -> Callable[[], int]:
        """A look at the sum of the positions that the group has committed; pending ones do not count."""
        consumer = self.consumer({"group.id": group, "isolation.level": "read_uncommitted"})
        asked = [TopicPartition(topic, number) for number in range(PARTITIONS)]

        def look() -> int:
            try:
                found = consumer.committed(asked, timeout=5)
            except KafkaException:  # no coordinator yet
                return 0
            return sum(max(0, at.offset) for at in found)

        return look
