"""aiokafka's fetch path without an object and a frame for each record, and with what an answer says of a partition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import consumer, fetcher
from aiokafka.errors import CorruptRecordException, OffsetOutOfRangeError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from app.engine.broker.codes import UNREACHABLE

R = TypeVar("R")

STEP_BYTES = 1 << 20
OUT_OF_RANGE = 1
AWAY_S = 0.1  # between two tries while the leader does not answer
FIELDS_OF_V4 = 6  # of a partition's answer; later versions have the log's start before the aborted transactions


class BareRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Yields the C extension's own records: offset, timestamp, key, value, headers."""

    def __iter__(self) -> Iterator[Any]:
        return self._records_iterator  # type: ignore[no-any-return]

    def _consumer_record(self, _partition: Any, record: Any) -> Any:
        return record

    def _unpack_records(self) -> Iterator[Any]:
        records, committed_only = self._records, self._isolation_level == fetcher.READ_COMMITTED
        while records.has_next():
            batch = records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"{self._tp}: checksum")
            if (committed_only and self._aborted(batch)) or batch.is_control_batch:
                self.next_fetch_offset = batch.next_offset
                continue
            begin = self.next_fetch_offset
            for record in batch:
                if record.offset >= begin:
                    self.next_fetch_offset = record.offset + 1
                    yield record
            self.next_fetch_offset = batch.next_offset

    def _aborted(self, batch: Any) -> bool:
        if batch.producer_id is None:
            return False
        self._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and self._contains_abort_marker(batch):
            self._aborted_producers.discard(batch.producer_id)
        return batch.is_transactional and batch.producer_id in self._aborted_producers


class Seen(NamedTuple):
    """What the newest answer said of a partition."""

    asked_at: float  # monotonic, when the question was sent
    offset: int  # from where
    high_watermark: int
    stable_offset: int
    empty: bool


class SeeingFetcher(fetcher.Fetcher):  # type: ignore[misc]
    """Keeps `Seen` beside each partition's state, in the consumer thread."""

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> Any:
        asked_at, asked = monotonic(), []
        for topic, partitions in request.topics:
            for number, offset, _ in partitions:
                at = TopicPartition(topic, number)
                state = assignment.state_value(at)
                if state is not None:
                    state.timestamp = None
                    asked.append((at, state, offset))
        answer = await super()._proc_fetch_request(assignment, node_id, request)
        for at, state, offset in asked:
            if state.awaiting_reset:
                state.lost = offset  # the log does not have it any more; aiokafka would go on elsewhere in silence
            if state.timestamp is not None and state._position == offset:
                state.seen = Seen(asked_at, offset, state.highwater, state.lso, at not in self._records)
        return answer


Row = tuple[bytes, bytes | None]


def bare(batch: Any, offset: int) -> list[Row]:
    """Keys and values, as changelogs and views need them."""
    return [(record.key, record.value) for record in batch if record.offset >= offset]


def whole(batch: Any, offset: int) -> list[Any]:
    """The C extension's own records: offset, timestamp, key, value, headers."""
    return [record for record in batch if record.offset >= offset]


class Stretch(NamedTuple, Generic[R]):
    rows: list[R]
    next_offset: int
    high_watermark: int
    stable_offset: int


def stretches(
    client: AIOKafkaClient, at: TopicPartition, offset: int, wait_ms: int = 50
) -> AsyncIterator[Stretch[Row]]:
    """Committed rows of a partition from `offset` on, without end: an empty one says that there is nothing now.

    Raises OffsetOutOfRangeError: the log no longer, or not yet, has that offset.
    """
    return stretches_of(client, at, offset, Reading(bare, wait_ms, "stretches"))


class Reading(NamedTuple, Generic[R]):
    """`rows_of`: what is made of each batch, and of it from an offset on. Requests of one lane wait for each other."""

    rows_of: Callable[[Any, int], list[R]]
    wait_ms: int
    lane: str


async def stretches_of(
    client: AIOKafkaClient, at: TopicPartition, offset: int, reading: Reading[R]
) -> AsyncIterator[Stretch[R]]:
    """The same, in other rows."""
    rows_of, wait_ms, lane = reading
    group = (lane, at.topic, at.partition)
    while True:
        leader = client.cluster.leader_for_partition(at)
        if leader is None or leader == -1:
            await _look_again(client)
            continue
        request = FetchRequest(wait_ms, 1, 64 << 20, 1, [(at.topic, [(at.partition, offset, STEP_BYTES)])])
        try:
            part = (await client.send(leader, request, group=group)).topics[0][1][0]
        except UNREACHABLE:
            await _look_again(client)
            continue
        error, high_watermark, stable_offset = part[1], part[2], part[3]
        if error == OUT_OF_RANGE:
            raise OffsetOutOfRangeError({at: offset})
        if error:
            if not for_code(error).retriable:
                raise for_code(error)(str(at))
            await _look_again(client)
            continue
        rows, offset = _committed(rows_of, part[-1], part[4 if len(part) == FIELDS_OF_V4 else 5], offset)
        yield Stretch(rows, offset, high_watermark, stable_offset)


async def _look_again(client: AIOKafkaClient) -> None:
    """A leader that is away, or leads no more, is not asked without a pause."""
    await asyncio.sleep(AWAY_S)
    await client.force_metadata_update()


def _committed(rows_of: Callable[[Any, int], list[R]], raw: bytes, aborted: Any, offset: int) -> tuple[list[R], int]:
    """The rows that are not of aborted transactions, and the offset after them."""
    begins = sorted(((first, producer) for producer, first in aborted or ()), reverse=True)
    gone: set[int] = set()
    rows: list[R] = []
    records = MemoryRecords(raw)
    while records.has_next():
        batch = records.next_batch()
        while begins and begins[-1][0] <= batch.base_offset:
            gone.add(begins.pop()[1])
        if batch.is_control_batch:
            gone.discard(batch.producer_id)
        elif not (batch.is_transactional and batch.producer_id in gone):
            rows += rows_of(batch, offset)
        offset = max(offset, batch.next_offset)
    return rows, offset


def install() -> None:
    """aiokafka makes its own consumers' parts by these names."""
    fetcher.PartitionRecords = BareRecords
    consumer.Fetcher = SeeingFetcher
    built = MetadataRequest.build

    def build_without_creating(self: Any, struct: Any) -> Any:
        self._allow_auto_topic_creation = False
        return built(self, struct)

    MetadataRequest.build = build_without_creating
