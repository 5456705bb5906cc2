"""Faust with one event for the polled records of one partition, and without offsets of its own.

What is overridden is private to Faust and named in tests/kafka/test_private_attributes.py.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple, cast

import faust
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition
from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import RebalanceAgain, ServiceStopped
from faust.tables.recovery import Recovery as FaustRecovery
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from app.engine.group.conductor import Conductor
from app.engine.group.group import RebalanceListener, Watch

CHUNK_RECORDS = 1_000
ACKS_KEPT = 1_000  # Faust notes every chunk, and we have no use for it
POLL_S, POLL_WHILE_DUE_S, POLL_WHILE_SOME_WAIT_S = 0.2, 0.05, 0.01
FETCH_WAIT_MS = 15
EMPTY_S = 15.0  # the drain's limit is well within, and the group's patience (30 s) beyond


class Hung(Exception):
    """Something did not come to its end; Faust alone would stand still now, without a word."""


class Chunk(NamedTuple):
    """Records of one partition as they were fetched. `start` is where they must continue (R4)."""

    at: TP
    records: list[Any]
    start: int
    epoch: int


class ChunkMessage(ConsumerMessage):
    __slots__ = ("chunk",)
    chunk: Chunk


class ConsumerThread(driver.AIOKafkaConsumerThread):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.snapshot: dict[TopicPartition, Any] = {}  # (position, Seen), as of the newest records handed over
        super().__init__(*args, **kwargs)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        self._assignor = self.app.assignor
        consumer._partition_assignment_strategy = [self.app.assignor]
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._max_poll_records = None
        return consumer

    def rejoin(self) -> None:
        """From any thread."""
        self.thread_loop.call_soon_threadsafe(self._ensure_consumer()._coordinator.request_rejoin)

    async def _fetch_records(self, consumer: Any, active_partitions: set[TP], *args: Any, **kwargs: Any) -> Any:
        """A position that a task has not sought yet is aiokafka's: if the log lost it, recovery says so (S4)."""
        records = await super()._fetch_records(consumer, active_partitions, *args, **kwargs)
        subscription = consumer._subscription.subscription
        assignment = subscription.assignment if subscription else None
        if assignment is not None:
            states = {at: assignment.state_value(at) for at in assignment.tps}
            asked = {at: s for at, s in states.items() if TP(*at) in active_partitions}
            if lost := {at: s.lost for at, s in asked.items() if getattr(s, "lost", None) is not None}:
                Watch.failed(OffsetOutOfRangeError(lost))
            self.snapshot = {at: (s._position, getattr(s, "seen", None)) for at, s in states.items() if s is not None}
        return records


class Consumer(driver.Consumer):
    RebalanceListener = RebalanceListener

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.seeking = asyncio.Lock()  # no fetch straddles a seek (F1)
        self.chain: dict[TP, int] = {}  # where the next chunk of a partition must start
        super().__init__(*args, **kwargs)

    @property
    def engine(self) -> Any:
        return cast(Any, self.app).engine

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        while not (self._stopped.is_set() or fetcher._stopped.is_set()):
            if not self.flow_active:
                await self.wait(cast(Any, self.can_resume_flow))
                continue
            chunks = await self._fetch()
            if chunks is None:
                await self.engine.until_wanted()
                continue
            for chunk in chunks:
                if not self.flow_active or chunk.epoch != self.engine.epoch:
                    break
                await self._deliver(chunk)
                await asyncio.sleep(0)

    async def _fetch(self) -> list[Chunk] | None:
        """None: nothing is wanted now.

        That is asked when no seek is on its way any more: a rewind may have begun meanwhile, and what was fetched
        from the old position under its epoch would be taken for what comes next.
        """
        chunks: list[Chunk] = []
        async with self.seeking:
            if not self.flow_active:
                return chunks
            epoch = self.engine.epoch
            wanted, all_wanted = self.engine.wanted(self._get_active_partitions())
            if not wanted:
                return None
            patience_s = POLL_S if all_wanted else POLL_WHILE_SOME_WAIT_S
            patience_s = min(patience_s, POLL_WHILE_DUE_S) if self.engine.timers_due else patience_s
            fetched = await self._getmany(active_partitions=wanted, timeout=patience_s) or {}
            for at, records in fetched.items():
                if records:
                    chunks += self._chunks(TP(at.topic, at.partition), records, epoch)
        chunks.sort(key=self.engine.turn)
        return chunks

    def _chunks(self, at: TP, records: list[Any], epoch: int) -> list[Chunk]:
        """The chain goes on with what was fetched, delivered or not."""
        found = []
        for begin in range(0, len(records), CHUNK_RECORDS):
            part = records[begin : begin + CHUNK_RECORDS]
            found.append(Chunk(at, part, self.chain[at], epoch))
            self.chain[at] = part[-1].offset + 1
        return found

    async def _deliver(self, chunk: Chunk) -> None:
        last = chunk.records[-1]
        message = ChunkMessage(
            chunk.at.topic,
            chunk.at.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            [],
            b"",
            b"",
            None,
            0,
            0,
            chunk.at,
            generation_id=self.app.consumer_generation_id,
        )
        message.chunk = chunk
        if len(self._acked[chunk.at]) > ACKS_KEPT:
            self._new_offset(chunk.at)
        self.engine.delivered(chunk)
        await self.callback(message)

    async def seek_to_committed(self) -> dict[TP, int]:
        """Each task seeks when it is ready (T4)."""
        return {}

    async def seek_tasks(self, positions: dict[TP, int]) -> None:
        """Raises aiokafka's IllegalStateError when a partition is not ours any more."""
        if positions:
            await self._thread.seek_wait({TopicPartition(*at): offset for at, offset in positions.items()})
            self.chain |= positions
            for at in positions:
                self._new_offset(at)
            thread = cast(ConsumerThread, self._thread)
            thread.snapshot = {at: seen for at, seen in thread.snapshot.items() if TP(*at) not in positions}

    def _new_offset(self, tp: TP) -> None:
        """Faust itself never commits."""
        self._acked[tp].clear()
        self._acked_index[tp].clear()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Every task seeks again when it is ready."""
        self.engine.assignment.revoked()
        await super().on_partitions_revoked(revoked)

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002
        for tp in list(self._acked):
            self._new_offset(tp)
        await self.engine.drain()
        return True

    async def wait_empty(self) -> None:
        """Faust waits without limit, takes no cancellation, and the group waits for it (T25)."""
        emptied = asyncio.ensure_future(super().wait_empty())
        await asyncio.wait([emptied], timeout=EMPTY_S)
        if not emptied.done():
            held = ", ".join(sorted({f"{message.topic}/{message.partition}" for message in self._unacked_messages}))
            Watch.failed(Hung(f"agents have not given back records of {held} for {EMPTY_S:.0f} s"))
        await emptied

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Liveness is ours (H1)."""


class Producer(driver.Producer):
    """Faust starts one; nothing of ours goes through it."""


class Transport(driver.Transport):
    Conductor = Conductor
    Consumer = Consumer
    Producer = Producer


class ChunkTopic(faust.Topic):
    def get_topic_name(self) -> str:
        """Of several topics all names: `faust agents` shows them."""
        return ", ".join(self.topics)

    def _compile_decode(self) -> None:
        create_event = self.app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return create_event(None, message.chunk, None, message)

        cast(Any, self).decode = decode


class Recovery(FaustRecovery):
    """Says when an assignment begins; restoring is the engine's."""

    @Service.task
    async def _restart_recovery(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(cast(Any, self.signal_recovery_start)):
                break
            self.signal_recovery_start.clear()
            generation = self._generation_id
            try:
                assigned = {TP(at.topic, at.partition) for at in self.app.consumer.assignment()}
                await self._wait(cast(Any, self.app).engine.assignment.assign(assigned, generation))
                await self._resume_streams(generation)
            except RebalanceAgain:
                continue
            except ServiceStopped:
                if self._stopped.is_set():
                    break
                raise Hung("Faust gave up an assignment: something of it was not answered in time") from None


class TableManager(FaustTableManager):
    @property
    def recovery(self) -> FaustRecovery:
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Faust's own sleeps for a second first."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()
