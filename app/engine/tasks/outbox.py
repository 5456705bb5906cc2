"""Records on their way into one transaction, built straight into record batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from app.engine.broker.limits import UNKNOWN, Limits
from app.engine.tasks.lane import Encoded

NO_HEADERS: list[Any] = []


class Batch:
    """One record batch; its producer's state is set when it is built."""

    __slots__ = ("_builder", "add", "bytes", "count")

    def __init__(self, most_bytes: int) -> None:
        self._builder = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=0,
            is_transactional=1,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=0,
            batch_size=most_bytes,
        )
        self.add = self._builder.append  # None when it does not fit; the first record always does
        self.count, self.bytes = 0, 0

    def build(self, producer_id: int, epoch: int, sequence: int) -> bytes:
        self._builder.set_producer_state(producer_id, epoch, sequence)
        built = bytes(self._builder.build())
        self.bytes = len(built)
        return built


Batches = dict[TopicPartition, list[Batch]]


class Outbox:
    def __init__(self, limits: Limits = UNKNOWN) -> None:
        self._limits = limits
        self.batches: Batches = {}
        self.bytes = 0

    def append(self, out: Encoded, timestamp_ms: int) -> None:
        """A plain tuple finds the batches: making a TopicPartition for each record would cost more than the append."""
        at, value = (out.topic, out.partition), out.value
        batches = self.batches.get(at)  # equal, and of equal hash
        batch = batches[-1] if batches else self._begin(at)
        if batch.add(batch.count, timestamp_ms, out.key, value, out.headers) is None:
            batch = self._begin(at)
            batch.add(0, timestamp_ms, out.key, value, out.headers)
        batch.count += 1
        self.bytes += 100 + (len(value) if value else 0)

    def extend(self, at: TopicPartition, timestamp_ms: int, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Changelog rows, whose bytes the cache has counted."""
        batches = self.batches.get(at)
        batch = batches[-1] if batches else self._begin(at)
        for key, value in rows:
            if batch.add(batch.count, timestamp_ms, key, value, NO_HEADERS) is None:
                batch = self._begin(at)
                batch.add(0, timestamp_ms, key, value, NO_HEADERS)
            batch.count += 1

    def _begin(self, at: tuple[str, int]) -> Batch:
        batch = Batch(self._limits.batch(at[0]))
        self.batches.setdefault(TopicPartition(*at), []).append(batch)
        return batch

    def take(self) -> Batches:
        """Everything so far; it is empty again."""
        taken, self.batches, self.bytes = self.batches, {}, 0
        return taken
