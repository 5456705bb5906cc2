"""The toy row on real Kafka, from outside: what is written to it, and what has become of it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from app.engine.state.stored import POSITIONS_KEY, Codec, decode_positions
from app.wire.partition import partition
from tests.support.kafka import ANSWER_S, POLL_S, Kafka, Written
from tests.support.toy import Account, Addition, Sum, toy
from tests.support.workers import PARTITIONS, Workers, workers

_json = msgspec.json.Encoder().encode
_sum = msgspec.json.Decoder(Sum).decode


class Changelog(NamedTuple):
    """Its newest rows: states by key, and positions by partition."""

    states: dict[str, Account]
    positions: dict[int, dict[str, int]]


class Accounts:
    def __init__(self, kafka: Kafka, prefix: str, fleet: Workers) -> None:
        self.kafka, self.prefix, self.workers = kafka, prefix, fleet
        row = toy(prefix)
        self.table, self.row = row.accounts, row.processor.row
        self.additions, self.sums_topic, self.alarms_topic = row.additions.name, row.sums.name, row.alarms.name
        self.dead_letters, self.changelog = f"iopt.dlq.{self.additions}", f"iopt.{self.row}.changelog"
        self.group = f"{prefix}group"
        self.added = 0

    def add(self, *additions: Addition) -> None:
        """Under their accounts' keys."""
        self.kafka.write(self.additions, *[(addition.account, _json(addition)) for addition in additions])
        self.added += len(additions)

    def sums(self) -> dict[str, list[Sum]]:
        return by_key(self.kafka.read_all(self.sums_topic))

    def alarms(self) -> dict[str, list[Sum]]:
        return by_key(self.kafka.read_all(self.alarms_topic))

    def until_summed(self, count: int | None = None, within_s: float = 30.0) -> list[Written]:
        """Until there are so many sums; without a count as many as additions were written."""
        return self.kafka.read(self.sums_topic, count=self.added if count is None else count, within_s=within_s)

    def until_alarmed(self, *accounts: str, within_s: float = 15.0) -> list[Written]:
        return self.kafka.read_until(
            self.alarms_topic, lambda found: set(accounts) <= {record.key for record in found}, within_s=within_s
        )

    def letters(self, count: int) -> list[tuple[str | None, str]]:
        """Key and reason."""
        found = self.kafka.read(self.dead_letters, count=count)
        return [(record.key, dict(record.headers)["iopt-dlq-reason"].decode()) for record in found]

    def logged(self) -> Changelog:
        states: dict[str, Account] = {}
        positions: dict[int, dict[str, int]] = {}
        codec = Codec(self.table)
        with binary(self.kafka, self.changelog) as rows:
            for key, value, number in rows:
                if key == POSITIONS_KEY:
                    positions[number] = decode_positions(value or b"").next
                elif value is None:
                    states.pop(key[1:].decode(), None)
                else:
                    states[key[1:].decode()] = codec.unpack(value)
        return Changelog(states, positions)

    def assert_exact(self) -> None:
        """Every account's sums count 1 to n, none twice and none missing; the changelog agrees, and the group."""
        found, log = self.sums(), self.logged()
        for account, told in found.items():
            assert [one.additions for one in told] == list(range(1, len(told) + 1)), account
            assert (log.states[account].additions, log.states[account].total) == (len(told), told[-1].total), account
        assert sum(map(len, found.values())) == self.added
        positions = {(topic, n): at for n, of in log.positions.items() for topic, at in of.items()}
        assert {at: offset for at, offset in self.kafka.committed(self.group).items() if offset >= 0} == positions

    def reset_group(self, offsets: dict[int, int]) -> None:
        """As somebody's tool would: the group must be empty."""
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": self.group})
        consumer.commit(
            offsets=[TopicPartition(self.additions, number, at) for number, at in offsets.items()], asynchronous=False
        )
        consumer.close()

    @contextmanager
    def open_transaction(self) -> Iterator[Producer]:
        """Of somebody else; it is aborted unless it is committed inside."""
        producer = Producer(
            {
                "bootstrap.servers": self.kafka.bootstrap,
                "transactional.id": f"{self.prefix}foreign",
                "partitioner": "murmur2_random",
                "linger.ms": 0,
            }
        )
        producer.init_transactions(ANSWER_S)
        producer.begin_transaction()
        yield producer
        producer.abort_transaction(ANSWER_S)


def by_key(records: list[Written]) -> dict[str, list[Sum]]:
    found: dict[str, list[Sum]] = defaultdict(list)
    for record in records:
        found[record.key or ""].append(_sum(record.value or b""))
    return dict(found)


@contextmanager
def binary(kafka: Kafka, topic: str) -> Iterator[Iterator[tuple[bytes, bytes | None, int]]]:
    """Key, value, partition of every committed record: keys of a changelog are no text."""
    reader = kafka._reader(topic)
    try:
        yield _rows(reader, kafka.topics()[topic])
    finally:
        reader.close()


def _rows(reader: Consumer, partitions: int) -> Iterator[tuple[bytes, bytes | None, int]]:
    ended = 0
    while ended < partitions:
        for message in reader.consume(500, POLL_S):
            if message.error() is not None:
                ended += 1
                continue
            key, number = message.key(), message.partition()
            assert isinstance(key, bytes)
            assert number is not None
            yield key, message.value(), number


@contextmanager
def accounts(kafka: Kafka, prefix: str, directory: Path, **plan: Any) -> Iterator[Accounts]:
    with workers(kafka.bootstrap, prefix, directory, **plan) as fleet:
        row = Accounts(kafka, prefix, fleet)
        kafka.create(row.sums_topic, row.alarms_topic)
        yield row


def names_on(number: int, count: int, prefix: str = "a") -> list[str]:
    """Accounts whose partition that is."""
    found = (f"{prefix}-{n}" for n in range(100 * count))
    return [name for name in found if partition(name.encode(), PARTITIONS) == number][:count]


@contextmanager
def load(row: Accounts, additions: Callable[[], Iterable[Addition]], pause_s: float) -> Iterator[None]:
    """These again and again, from a thread of its own."""
    stopped = threading.Event()

    def write() -> None:
        while not stopped.is_set():
            row.add(*additions())
            stopped.wait(pause_s)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        yield
    finally:
        stopped.set()
        writing.join()
