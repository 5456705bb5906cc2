"""Reading what the worker has committed, without a group of one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord

POLL_MS = 100


@asynccontextmanager
async def reader(kafka: str, topics: Iterable[str]) -> AsyncIterator[AIOKafkaConsumer]:
    """At the beginning of every partition of topics that exist."""
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=kafka,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def follow(
    consumer: AIOKafkaConsumer, tell: Callable[[ConsumerRecord], None], news: Callable[[], Awaitable[None]]
) -> None:
    while True:
        await _read(consumer, tell)
        await news()


async def finish(consumer: AIOKafkaConsumer, tell: Callable[[ConsumerRecord], None]) -> None:
    """Read on to what is the end now."""
    ends = await consumer.end_offsets(list(consumer.assignment()))
    while any([await consumer.position(part) < end for part, end in ends.items()]):
        await _read(consumer, tell)


async def _read(consumer: AIOKafkaConsumer, tell: Callable[[ConsumerRecord], None]) -> None:
    for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
        for record in records:
            tell(record)
