"""Millions of additions at a steady rate, and books that hold each sum to what it must be, without keeping any."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import quantiles
from time import monotonic

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from tests.faults.load import NotWritten
from tests.faults.scenario import encoded
from tests.support.kafka import Kafka, written
from tests.support.toy import Addition, Sum

ACCOUNTS, PROBES = 20_000, 500
TICK_S, A_TICK = 0.05, 2  # probes in each
_sum = msgspec.json.Decoder(Sum).decode


class Offered:
    """What was sent: per account how many. A probe is an addition whose time is known."""

    def __init__(self, bootstrap: str, topic: str, seed: int) -> None:
        self._topic, self._dice = topic, random.Random(seed)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
                "log_level": 0,
            }
        )
        self._failures: list[KafkaError] = []
        self.counts: dict[str, int] = {}
        self.probes: dict[tuple[str, int], float] = {}
        self.sent = 0

    def _one(self, account: str) -> int:
        count = self.counts[account] = self.counts.get(account, 0) + 1
        self._producer.produce(
            self._topic, key=account, value=encoded(Addition(account, 1)), on_delivery=self._acknowledged
        )
        self.sent += 1
        return count

    def _acknowledged(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failures.append(error)

    def at_once(self, count: int) -> None:
        for number in range(count):
            self._one(f"a-{self._dice.randrange(ACCOUNTS)}")
            if not number % 1_000:
                self._producer.poll(0)
        self._flushed()

    def _flushed(self) -> None:
        if self._producer.flush(120) or self._failures:
            raise NotWritten(f"not everything was written: {self._failures[:3]}")

    @contextmanager
    def steadily(self, rate: float) -> Iterator[None]:
        """So many a second, each tick when it is due, however late the one before it was."""
        stopped = threading.Event()

        def offer() -> None:
            begun, tick = monotonic(), 0
            while not stopped.wait(max(0.0, begun + tick * TICK_S - monotonic())):
                for number in range(A_TICK):
                    probe = f"probe-{(tick * A_TICK + number) % PROBES}"
                    due = begun + tick * TICK_S
                    self.probes[probe, self._one(probe)] = due
                for _ in range(round(rate * TICK_S) - A_TICK):
                    self._one(f"a-{self._dice.randrange(ACCOUNTS)}")
                self._producer.poll(0)
                tick += 1

        offering = threading.Thread(target=offer, daemon=True)
        offering.start()
        try:
            yield
        finally:
            stopped.set()
            offering.join()
            self._flushed()


class Books:
    """Each account's sums must count 1, 2, 3 ...: a loss, a repetition or a swap is seen at once."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._kafka, self._topic = kafka, topic
        self._last: dict[str, int] = {}
        self._errors: list[str] = []
        self._arrived: list[tuple[tuple[str, int], float]] = []
        self.read = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=self._read, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _read(self, ended: threading.Event) -> None:
        with self._kafka._reader(self._topic) as reader:
            while not ended.is_set():
                found = written(reader.consume(2_000, 0.02))
                now = monotonic()
                for record in found:
                    self._enter(_sum(record.value or b""), now)

    def _enter(self, told: Sum, now: float) -> None:
        before = self._last.get(told.account, 0)
        if (told.additions, told.total) != (before + 1, before + 1):
            self._errors.append(f"{told} after {before}")
        self._last[told.account] = told.additions
        self.read += 1
        if told.account.startswith("probe"):
            self._arrived.append(((told.account, told.additions), now))

    def latency(self, offered: Offered) -> tuple[float, float]:
        """p50 and p99 in ms of the probes that have arrived since the last call."""
        arrived, self._arrived = self._arrived, []
        took = [(now - due) * 1000 for probe, now in arrived if (due := offered.probes.pop(probe, None)) is not None]
        if len(took) < 2:
            return 0.0, 0.0
        cuts = quantiles(took, n=100)
        return cuts[49], cuts[98]

    def wrong(self, offered: Offered) -> list[str]:
        """What was lost, repeated or swapped; and whose last sum is not what was sent."""
        missing = [name for name, count in offered.counts.items() if self._last.get(name, 0) != count]
        return self._errors[:5] + [f"{name}: {self._last.get(name, 0)}" for name in missing[:5]]
