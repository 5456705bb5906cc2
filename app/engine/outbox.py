"""Records on their way into one transaction, built straight into record batches."""

from __future__ import annotations

from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from app.engine.lane import Encoded

BATCH_BYTES = 900_000  # below the max.message.bytes of every topic that is not told otherwise


class Batch:
    """One record batch; its producer's state is set when it is built."""

    __slots__ = ("_append", "_builder", "bytes", "count")

    def __init__(self) -> None:
        self._builder = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=0,
            is_transactional=1,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=0,
            batch_size=BATCH_BYTES,
        )
        self._append, self.count, self.bytes = self._builder.append, 0, 0

    def append(self, timestamp_ms: int, key: bytes | None, value: bytes | None, headers: list[Any]) -> bool:
        """False when it does not fit. The first record of a batch always does."""
        if self._append(self.count, timestamp_ms, key, value, headers) is None:
            return False
        self.count += 1
        return True

    def build(self, producer_id: int, epoch: int, sequence: int) -> bytes:
        self._builder.set_producer_state(producer_id, epoch, sequence)
        built = bytes(self._builder.build())
        self.bytes = len(built)
        return built


Batches = dict[TopicPartition, list[Batch]]


class Outbox:
    def __init__(self) -> None:
        self.batches: Batches = {}
        self.records, self.bytes = 0, 0

    def append(self, out: Encoded, timestamp_ms: int) -> None:
        self.add((out.topic, out.partition), timestamp_ms, out.key, out.value, out.headers)
        self.bytes += len(out.value or b"") + 100

    def add(
        self, at: tuple[str, int], timestamp_ms: int, key: bytes | None, value: bytes | None, headers: list[Any]
    ) -> None:
        """`at` may be a plain tuple: making a TopicPartition for each record would cost more than the append."""
        batches = self.batches.get(at)  # equal, and of equal hash
        if batches is None:
            batches = self.batches[TopicPartition(*at)] = [Batch()]
        if not batches[-1].append(timestamp_ms, key, value, headers):
            batches.append(Batch())
            batches[-1].append(timestamp_ms, key, value, headers)
        self.records += 1

    def take(self) -> Batches:
        """Everything so far; it is empty again."""
        taken, self.batches, self.records, self.bytes = self.batches, {}, 0, 0
        return taken
