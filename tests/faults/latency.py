"""From the send of a record to its sum at a read_committed reader, while something else goes on."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from statistics import quantiles
from time import monotonic
from typing import NamedTuple

from tests.faults.load import Writer
from tests.faults.scenario import Sent
from tests.faults.trial import Trial
from tests.support.kafka import Kafka, wait_for, written
from tests.support.toy import Addition

A_SECOND = 100
TICK_S = 0.05


class Spread(NamedTuple):
    p50_ms: float
    p99_ms: float


class Latency:
    """Reads as long as the block lasts; a sum arrives when it is read."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._kafka, self._topic = kafka, topic
        self._arrived: dict[str, float] = {}
        self._ended = threading.Event()
        self._reading = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Latency:
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._reading.join()

    def _read(self) -> None:
        with self._kafka._reader(self._topic) as reader:
            while not self._ended.is_set():
                found = written(reader.consume(100, 0.02))
                now = monotonic()
                for record in found:
                    self._arrived.setdefault(record.key or "", now)

    def of(self, sent_at: Mapping[str, float]) -> Spread:
        """Of records with keys of their own."""
        wait_for(lambda: sent_at.keys() <= self._arrived.keys(), "all sums of the measured records", 60)
        cuts = quantiles([(self._arrived[key] - at) * 1000 for key, at in sent_at.items()], n=100)
        return Spread(cuts[49], cuts[98])


def paced(trial: Trial, name: str, seconds: float, others: Sequence[Sent] = ()) -> dict[str, float]:
    """When each record was due to be sent, at a steady rate; `others` are spread over the same time."""
    writer, sent_at = Writer(trial.brokers.bootstrap), dict[str, float]()
    ticks = round(seconds / TICK_S)
    share, begun, never = len(others) // ticks + 1, monotonic(), threading.Event()
    for tick in range(ticks):
        due = begun + tick * TICK_S
        never.wait(max(0.0, due - monotonic()))
        mine = [Addition(f"{name}-{tick}-{n}", 1) for n in range(round(A_SECOND * TICK_S))]
        sent_at |= dict.fromkeys((one.account for one in mine), due)
        writer.write([*others[tick * share : (tick + 1) * share], *trial.scenario.add(*mine)])
    return sent_at
