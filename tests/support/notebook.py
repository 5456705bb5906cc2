"""Transactions for tests of who begins them, when, and with what in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from aiokafka.structs import TopicPartition

from app.engine.tasks.outbox import Batches
from app.engine.transactions.transaction import Claim


class Notebook:
    """Transactions that end when they are let, and are noted with their times."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.ended: list[float] = []
        self.said: list[tuple[Batches, Mapping[TopicPartition, int], Claim]] = []
        self.changed = asyncio.Condition()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.failure: Exception | None = None
        self.inits = 0

    async def commit(self, batches: Batches, positions: Mapping[TopicPartition, int], claim: Claim) -> Any:
        self.begun.append(perf_counter())
        self.said.append((batches, positions, claim))
        await self._tell()
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        self.ended.append(perf_counter())
        await self._tell()
        return dict.fromkeys(batches, 100)

    async def init(self) -> None:
        self.inits += 1
        await self._tell()

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(met)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()
