"""Foreign producers that write while faults happen: a plain one, and one with transactions, some of them aborted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tests.faults.scenario import Scenario, Sent

PATIENCE_MS = 300_000  # brokers may be away for a minute; a record that is given up would be a hole in the oracle
PAUSE_S = 0.1
NONE: Mapping[str, Any] = {}
BATCH = 0.1  # seconds' worth of records


class NotWritten(AssertionError):
    pass


class Writer:
    """Idempotent: whatever becomes of the broker, each record once, and in order."""

    def __init__(self, bootstrap: str, transactional_id: str = "", settings: Mapping[str, Any] = NONE) -> None:
        self._failures: list[KafkaError] = []
        own = {"transactional.id": transactional_id, "transaction.timeout.ms": PATIENCE_MS} if transactional_id else {}
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "message.timeout.ms": PATIENCE_MS,
                "log_level": 0,
                "linger.ms": 0,
            }
            | own
            | dict(settings)
        )

    def write(self, sent: Iterable[Sent]) -> None:
        """Returns when all are acknowledged. Raises NotWritten."""
        for topic, record in sent:
            self.producer.produce(
                topic,
                key=None if record.key is None else record.key.encode(errors="surrogateescape"),
                value=record.value,
                headers=list(record.headers),
                partition=record.partition,
                timestamp=record.timestamp_ms,
                on_delivery=self._acknowledged,
            )
            self.producer.poll(0)
        if self.producer.flush(PATIENCE_MS / 1000) or self._failures:
            raise NotWritten(f"not all records were written: {self._failures[:3]}")

    def _acknowledged(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failures.append(error)


class Transacting:
    """What is aborted must never be seen."""

    def __init__(self, bootstrap: str, scenario: Scenario, transactional_id: str) -> None:
        self._writer = Writer(bootstrap, transactional_id)
        self._scenario, self._begun = scenario, False
        self.aborted = 0

    def once(self) -> None:
        if not self._begun:
            self._until_done(self._writer.producer.init_transactions)
            self._begun = True
        foreign = self._scenario.transaction()
        self._writer.producer.begin_transaction()
        self._writer.write(foreign.records)
        if foreign.commits:
            self._until_done(self._writer.producer.commit_transaction)
            self._scenario.seen(*foreign.records)
        else:
            self._until_done(self._writer.producer.abort_transaction)
            self.aborted += 1

    def _until_done(self, call: Callable[[float], None]) -> None:
        """Retried until the broker answers: the same call settles what became of the one before."""
        while True:
            try:
                return call(PATIENCE_MS / 1000)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise


@contextmanager
def load(bootstrap: str, scenario: Scenario, rate: float = 400) -> Iterator[None]:
    """So many records a second and a few transactions, from the beginning of the block to its end."""
    stopped, failed = threading.Event(), list[BaseException]()
    plain, batch = Writer(bootstrap), max(1, round(rate * BATCH))
    foreign = Transacting(bootstrap, scenario, f"foreign-{scenario.row.additions.name}")

    def until_stopped(write: Callable[[], None]) -> None:
        try:
            while not stopped.is_set():
                write()
                stopped.wait(PAUSE_S)
        except (KafkaException, NotWritten) as error:
            failed.append(error)

    writing = [
        threading.Thread(target=until_stopped, args=(lambda: plain.write(scenario.more(batch)),), daemon=True),
        threading.Thread(target=until_stopped, args=(foreign.once,), daemon=True),
    ]
    for thread in writing:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in writing:
            thread.join(PATIENCE_MS / 1000)
    if failed:
        raise failed[0]
