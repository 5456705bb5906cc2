"""The side of the shop: topics that are not the product's, and orders at a steady rate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.demo import orders
from deploy.demo.participants import NAMES

PARTITIONS = 4
THEIRS = (orders.TOPIC, *(f"{name}.commands" for name in NAMES))
PER_SECOND = 60
SHOWN = 3


class NotFresh(Exception):
    """The cluster has topics of a demo already."""


@asynccontextmanager
async def _admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def topics(kafka: str) -> list[str]:
    async with _admin(kafka) as admin:
        return sorted(await admin.list_topics())


async def open_shop(kafka: str) -> None:
    """Create the topics of the shop and its services. Raises NotFresh."""
    await check_fresh(kafka)
    async with _admin(kafka) as admin:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in THEIRS])


async def check_fresh(kafka: str) -> None:
    """Raises NotFresh."""
    taken = [name for name in await topics(kafka) if name in THEIRS or name.startswith("iopt.")]
    if taken:
        told = ", ".join(taken[:SHOWN]) + (f" and {len(taken) - SHOWN} more" if len(taken) > SHOWN else "")
        raise NotFresh(f"{kafka} has {told} already: the demo wants a cluster without its own topics and iopt.*")


async def send_orders(kafka: str, seed: int, count: int, sent: Callable[[int], None]) -> None:
    """All events of the story, `PER_SECOND` of them; `sent` is told how many orders there are so far."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True)
    await producer.start()
    began = asyncio.get_running_loop().time()
    so_far = 0
    try:
        for number, event in enumerate(orders.events(seed, count)):
            await asyncio.sleep(began + number / PER_SECOND - asyncio.get_running_loop().time())
            await producer.send(orders.TOPIC, key=event.key, value=event.value, headers=event.headers)
            so_far += event.order is not None
            sent(so_far)
        await producer.flush()
    finally:
        await producer.stop()
