"""The simulated inventory-service, payment-service and courier-service: a process of their own.

They know Kafka and contract.md, nothing of the product's code.

    python -m deploy.demo.participants --kafka localhost:9092 --books var/books --seed 7 --orders 2000
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import itertools
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from deploy.demo.command import Command, Position, Reply, read
from deploy.demo.ledger import Ledger
from deploy.demo.participant import Participant
from deploy.demo.whims import Whims

NAMES = ("inventory-service", "payment-service", "courier-service")
POLL_MS = 50
COMMIT_MS = 500
BATCH = 500


class Desk:
    """One participant at its topic: takes commands, sends replies, commits what is answered for."""

    def __init__(self, participant: Participant, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        self._participant = participant
        self._consumer = consumer
        self._producer = producer
        self._later: list[tuple[int, int, Reply]] = []
        self._order = itertools.count()
        self._next: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._commit_due_ms = 0

    async def work(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH)
            records = [record for batch in batches.values() for record in batch]
            self._take(records)
            await self._send_due()
            await self._commit()

    def _take(self, records: list[ConsumerRecord]) -> None:
        now_ms = _now_ms()
        replies = self._participant.take(map(_command, records), now_ms) if records else []
        for record in records:
            self._next[record.partition] = record.offset + 1
        for reply in replies:
            heapq.heappush(self._later, (now_ms + reply.delay_ms, next(self._order), reply))

    async def _send_due(self) -> None:
        now_ms = _now_ms()
        due = []
        while self._later and self._later[0][0] <= now_ms:
            due.append(heapq.heappop(self._later)[1:])
        sending = [await self._send(reply, copy, now_ms) for copy, reply in due]
        await asyncio.gather(*sending)

    async def _send(self, reply: Reply, copy: int, now_ms: int) -> asyncio.Future[object]:
        future: asyncio.Future[object] = await self._producer.send(
            reply.command.reply_to,
            key=reply.command.saga_id.encode(),
            value=reply.value(),
            headers=reply.headers(copy, now_ms),
        )
        return future

    async def _commit(self) -> None:
        """Up to the first command that is still to be answered for."""
        if (now_ms := _now_ms()) < self._commit_due_ms:
            return
        self._commit_due_ms = now_ms + COMMIT_MS
        waiting = [*self._participant.unfinished(), *(reply.command.position for _, _, reply in self._later)]
        safe = self._next | _lowest(waiting)
        fresh = {partition: offset for partition, offset in safe.items() if self._committed.get(partition) != offset}
        if fresh:
            topic = f"{self._participant.name}.commands"
            await self._consumer.commit({TopicPartition(topic, n): offset for n, offset in fresh.items()})
            self._committed.update(fresh)


def _lowest(positions: Iterable[Position]) -> dict[int, int]:
    lowest: dict[int, int] = {}
    for partition, offset in positions:
        lowest[partition] = min(offset, lowest.get(partition, offset))
    return lowest


def _command(record: ConsumerRecord) -> Command:
    return read(record.value, record.headers, (record.partition, record.offset))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def attend(name: str, kafka: str, books: Path, whims: Whims) -> None:
    """Serve one participant until cancelled."""
    ledger = Ledger(books / f"{name}.sqlite")
    consumer = AIOKafkaConsumer(
        f"{name}.commands",
        bootstrap_servers=kafka,
        group_id=name,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=POLL_MS,
    )
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True, linger_ms=2)
    try:
        await producer.start()
        await consumer.start()
        await Desk(Participant(name, ledger, whims), consumer, producer).work()
    finally:
        await consumer.stop()
        await producer.stop()
        ledger.close()


async def serve(kafka: str, books: Path, whims: Whims) -> None:
    services = asyncio.gather(*(attend(name, kafka, books, whims) for name in NAMES))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, services.cancel)
    with suppress(asyncio.CancelledError):
        await services


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("--kafka", required=True, help="host:port")
    told.add_argument("--books", required=True, type=Path, help="directory of the services' SQLite files")
    told.add_argument("--seed", type=int, default=7)
    told.add_argument("--orders", type=int, default=2_000, help="how many orders are to come: places the outage")
    args = told.parse_args()
    args.books.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(args.kafka, args.books, Whims(args.seed, args.orders)))


if __name__ == "__main__":
    main()
