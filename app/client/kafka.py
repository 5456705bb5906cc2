"""Outcomes and events to Kafka and states from it, through aiokafka: a thread of its own, in which an event loop lives.

Needs the extra `kafka`. A child of the process, after a fork, has connections of its own, from its first use on.
"""

from __future__ import annotations

import asyncio
import atexit
import codecs
import logging
from collections import deque
from contextlib import suppress
from inspect import signature
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from . import forks
from .fleet import Fleet, Limits
from .own_loop import OwnLoop
from .report import AT_EXIT_MS, Headers, Report
from .scope import Who

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

STATES = "iopt.breaker-states"
MOST = 10_000  # records that wait to be sent
LONGEST_MS = 10_000  # that one waits for an answer
PROBE_S = 1.0
ANSWER_S = 3.0
AGAIN_S = 1.0

log = logging.getLogger("iopt_client")


class NoRoom(Exception):
    """More waits to be sent than is kept."""


class Unreached(Exception):
    """Kafka did not answer in time."""


class Waiting(NamedTuple):
    since_s: float
    topic: str
    key: bytes
    value: bytes
    headers: Headers


class Record(NamedTuple):
    key: bytes
    value: bytes | None


def connect(
    bootstrap_servers: str, who: Who, *, single: bool = False, limits: Limits | None = None, **options: Any
) -> Fleet:
    """A fleet that tells and hears through Kafka until it is closed, or the process ends: 2 s for the last of it."""
    transport = KafkaTransport(bootstrap_servers, **options)
    report = Report(transport.send, who, single=single)

    def leave() -> None:
        atexit.unregister(fleet.close)
        transport.close(AT_EXIT_MS)

    fleet = Fleet(transport.poll, report, limits=limits, leave=leave)
    fleet.start()
    atexit.register(fleet.close)
    return fleet


class KafkaTransport:
    """`options`: as of AIOKafkaProducer and AIOKafkaConsumer both, such as `security_protocol`. TypeError for others.

    `lost` counts records that were taken, and of which Kafka did not say in time that it has them.
    """

    def __init__(self, bootstrap_servers: str, *, states: str = STATES, **options: Any) -> None:
        import aiokafka  # noqa: PLC0415  # an extra; now, as a child forked while a thread imports waits for ever

        codecs.lookup("idna")  # the same: names of hosts
        self._options = {"bootstrap_servers": bootstrap_servers, "request_timeout_ms": LONGEST_MS, **options}
        for client in (aiokafka.AIOKafkaProducer, aiokafka.AIOKafkaConsumer):
            signature(client).bind(**self._options)
        self._states = states
        self._left = False
        self._loop = OwnLoop("iopt-kafka", self._send_all)
        self._begin()
        forks.keep(self)

    def _begin(self) -> None:
        self.lost = self._flying = 0
        self._outbox: deque[Waiting] = deque()
        self._made: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._topics: set[str] = set()
        self._held = 0  # of the outbox, for topics that are not there
        self._apart: list[Waiting] = []  # and those while the others are sent
        self._probed_s = self._ask_s = float("-inf")
        self._read_once = False
        self._more = asyncio.Event()

    def forked(self) -> None:
        """What waits is the parent's to send."""
        self._loop.forked(self._made, self._consumer)
        self._begin()

    def send(self, topic: str, key: bytes, value: bytes, headers: Headers) -> None:
        """At once; NoRoom where too much waits already."""
        if len(self._outbox) + len(self._apart) >= MOST:
            raise NoRoom
        self._outbox.append(Waiting(monotonic(), topic, key, value, headers))
        self._loop.soon(self._more.set)

    def poll(self, within_ms: int) -> list[Record]:
        """States that are new, the oldest ones first; none where all are read. Raises Unreached."""
        if self._left:
            raise Unreached("closed")
        try:
            return self._loop.wait(self._polled(within_ms / 1000), within_ms / 1000 + LONGEST_MS / 1000)
        except Exception as error:
            raise Unreached(str(error)) from error

    def close(self, within_ms: int) -> None:
        """Waits that long for what is still to be sent."""
        if self._left:
            return
        self._left = True
        try:
            if self._loop.begun:
                self._loop.wait(self._closed(), within_ms / 1000)
        except Exception as error:  # noqa: BLE001  # what is not sent by now is lost, and nobody waits longer
            log.debug("Kafka was left before all was sent: %s", error)
        self._loop.stop()

    async def _send_all(self) -> None:
        producer = self._made = await self._producer()
        while True:
            self._more.clear()
            await self._send_known(producer)
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S if self._held else None):
                    await self._more.wait()

    async def _send_known(self, producer: AIOKafkaProducer) -> None:
        """What is for a topic that is not there stays: it holds up nothing that is for another."""
        self._apart, self._held = [], 0
        while self._outbox:
            waiting = self._outbox.popleft()
            if monotonic() - waiting.since_s >= LONGEST_MS / 1000:
                self.lost += 1
            elif not await self._send(producer, waiting):
                self._apart.append(waiting)
        self._outbox.extendleft(reversed(self._apart))
        self._apart, self._held = [], len(self._apart)

    async def _send(self, producer: AIOKafkaProducer, waiting: Waiting) -> bool:
        """False: its topic is not there."""
        _, topic, key, value, headers = waiting
        self._flying += 1
        try:
            if not await self._known(producer, topic):
                self._flying -= 1
                return False
            sent = await producer.send(topic, value=value, key=key, headers=list(headers))
        except Exception as error:  # noqa: BLE001  # whatever it is, the next one may be sent
            log.debug("a record for %s was not sent: %r", topic, error)
            self._flying -= 1
            self.lost += 1
        else:
            sent.add_done_callback(self._sent)
        return True

    def _sent(self, done: asyncio.Future[Any]) -> None:
        self._flying -= 1
        self.lost += done.cancelled() or done.exception() is not None

    async def _producer(self) -> AIOKafkaProducer:
        """Started, however long Kafka is away."""
        from aiokafka import AIOKafkaProducer  # noqa: PLC0415  # an extra

        while True:
            producer = AIOKafkaProducer(acks="all", **self._options)  # its partitions are those of murmur2, as Java's
            try:
                await producer.start()
            except Exception as error:  # noqa: BLE001  # it is asked again as long as the process lives
                log.debug("Kafka is not in reach: %r", error)
                await producer.stop()
                await asyncio.sleep(AGAIN_S)
            else:
                return producer

    async def _known(self, producer: AIOKafkaProducer, topic: str) -> bool:
        """Whether the topic is there: to ask for its partitions before could create it, with the wrong number."""
        if topic not in self._topics and monotonic() >= self._ask_s:
            self._ask_s = monotonic() + AGAIN_S
            self._topics = (await producer.client.fetch_all_metadata()).topics()
        return topic in self._topics

    async def _polled(self, within_s: float) -> list[Record]:
        consumer = self._consumer or await self._consumer_begun()
        await self._probe(consumer)
        if not consumer.subscription():
            await asyncio.sleep(within_s)
            return []
        found = await consumer.getmany(timeout_ms=int(within_s * 1000))
        if not found and not self._read_once:
            found = await self._first(consumer)
        return [Record(each.key or b"", each.value) for records in found.values() for each in records]

    async def _first(self, consumer: AIOKafkaConsumer) -> dict[Any, list[Any]]:
        """At the start no records may mean that they were not fetched yet."""
        ends = await consumer.end_offsets(consumer.assignment())
        for partition, end in ends.items():
            if await consumer.position(partition) < end:
                found: dict[Any, list[Any]] = await consumer.getmany(timeout_ms=LONGEST_MS // 4)
                return found
        self._read_once = bool(ends)
        return {}

    async def _consumer_begun(self) -> AIOKafkaConsumer:
        from aiokafka import AIOKafkaConsumer  # noqa: PLC0415  # an extra

        consumer = AIOKafkaConsumer(
            isolation_level="read_committed", auto_offset_reset="earliest", enable_auto_commit=False, **self._options
        )
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        self._consumer = consumer
        return consumer

    async def _probe(self, consumer: AIOKafkaConsumer) -> None:
        """Raises where Kafka is away. That no record comes does not say so: none may come for days."""
        if monotonic() - self._probed_s < PROBE_S:
            return
        if not consumer.subscription():
            if self._states in await asyncio.wait_for(consumer.topics(), ANSWER_S):
                consumer.subscribe([self._states])
        elif partitions := consumer.assignment():
            await asyncio.wait_for(consumer.end_offsets(partitions), ANSWER_S)
        self._probed_s = monotonic()

    async def _closed(self) -> None:
        while len(self._outbox) > self._held or self._flying:  # noqa: ASYNC110  # asked for once in a process's life
            await asyncio.sleep(0.01)
        for client in (self._made, self._consumer):
            if client is not None:
                await client.stop()
