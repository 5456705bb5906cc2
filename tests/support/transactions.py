"""One transactional id by itself, over a connection that fails as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from app.engine import startup
from app.engine.tasks.outbox import Outbox
from app.engine.transactions.transaction import Claim, Transactions
from tests.support.kafka import Kafka

NOBODY = Claim(-1, "", None)


class LossyClient(AIOKafkaClient):  # type: ignore[misc]
    """Of each kind of request the first one's answer is lost after the broker has acted, or the request is late."""

    losing: tuple[str, ...] = ()
    delaying: tuple[str, ...] = ()
    sent: list[str]
    late: list[tuple[int, Any, Any]]
    has_late: asyncio.Event

    async def send(self, node_id: int, request: Any, **to: Any) -> Any:
        kind = type(request).__name__
        self.sent.append(kind)
        if kind in self.delaying:
            self.delaying = tuple(each for each in self.delaying if each != kind)
            self.late.append((node_id, request, to))
            self.has_late.set()
            raise ConnectionError("the request is on its way still")
        answer = await super().send(node_id, request, **to)
        if kind in self.losing:
            self.losing = tuple(each for each in self.losing if each != kind)
            raise ConnectionError("the answer was lost")
        return answer

    async def deliver(self) -> Any:
        """The oldest request that is late; what the broker says to it."""
        node_id, request, to = self.late.pop(0)
        return await super().send(node_id, request, **to)


@asynccontextmanager
async def lossy(kafka: Kafka) -> AsyncIterator[LossyClient]:
    client = LossyClient(bootstrap_servers=kafka.bootstrap, request_timeout_ms=15_000, retry_backoff_ms=50)
    client.sent, client.late, client.has_late = [], [], asyncio.Event()
    await client.bootstrap()
    yield client
    await client.close()


async def transactions(client: AIOKafkaClient, prefix: str) -> Transactions:
    """Of the version that the cluster says; its first transaction may begin."""
    mine = (await startup.choose_version(client))(client, f"{prefix}id", f"{prefix}group", 10_000)
    await mine.init()
    return mine


def batches(topic: str, *values: bytes, number: int = 0) -> Any:
    outbox = Outbox()
    outbox.extend(TopicPartition(topic, number), 1, [(b"k", value) for value in values])
    return outbox.take()


def values(kafka: Kafka, topic: str) -> list[bytes | None]:
    return [record.value for record in kafka.read_all(topic)]
