"""Views of compacted topics: read to their end before the worker joins the group, followed ever after (R5)."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from app.domain.errors import NotYet, Rejected
from app.engine.broker.codes import UNREACHABLE
from app.engine.broker.ends import known_bounds
from app.engine.broker.fetch import stretches
from app.engine.processor import View
from app.telemetry import metrics
from app.telemetry.logs import log

V = TypeVar("V")
ANSWER_HOLDS = 3  # rounds for which a key stays absent: long enough for the task that waited for the answer


class Followed(Generic[V]):
    """The content of a view's topic as this worker has read it."""

    def __init__(self, view: View[V], client: AIOKafkaClient, partitions: int) -> None:
        assert view.topic is not None
        self.name, self._topic, self._client, self._partitions = view.name, view.topic, client, partitions
        self.content: dict[str, V] = {}
        self._offsets = dict.fromkeys(range(partitions), 0)
        self._asked: dict[str, int] = {}  # missing key -> the round after which it is certainly absent
        self._round = 0
        self.read = False  # to its end, once

    def get(self, key: str) -> V | None:
        found = self.content.get(key)
        if found is None:
            certain = self._asked.setdefault(key, self._round + 2)
            if self._round < certain:
                raise NotYet(self.name, key)
        return found

    def __getitem__(self, key: str) -> V:
        found = self.get(key)
        if found is None:
            raise Rejected(f"{self.name} has no {key!r}")
        return found

    async def read_to_end(self) -> None:
        ends = await self._ends() if self._asked else {}
        whole = await asyncio.gather(*(self._read(number, ends.get(number, 0)) for number in range(self._partitions)))
        if all(whole):
            self._round += 1
            self._asked = {key: certain for key, certain in self._asked.items() if self._round < certain + ANSWER_HOLDS}
        self.read = True
        metrics.VIEWS_READY.set((self.name,), 1)

    async def follow(self) -> None:
        """Until cancelled. A whole round that began after a key was asked for has passed that moment's end."""
        while True:
            try:
                await self.read_to_end()
            except UNREACHABLE as error:
                log.warning("view_unreachable", view=self.name, error=repr(error))
            await asyncio.sleep(0.1)

    async def _ends(self) -> dict[int, int]:
        """For a key to be judged absent: a leader that is new may answer a fetch as if its log ended earlier."""
        partitions = [TopicPartition(self._topic.name, number) for number in range(self._partitions)]
        return {at.partition: found.end for at, found in (await known_bounds(self._client, partitions)).items()}

    async def _read(self, number: int, known_end: int) -> bool:
        """Up to the stable offset; False when an open transaction may still hide something before the end."""
        at, until, end = TopicPartition(self._topic.name, number), -1, known_end
        async for stretch in stretches(self._client, at, self._offsets[number], wait_ms=1):
            if until < 0:
                until, end = stretch.stable_offset, max(end, stretch.high_watermark)
            for key, value in stretch.rows:
                self._apply((key or b"").decode(errors="replace"), value)
            self._offsets[number] = stretch.next_offset
            if stretch.next_offset >= until:
                break
        return self._offsets[number] >= end

    def _apply(self, key: str, value: bytes | None) -> None:
        self._asked.pop(key, None)
        if value is None:
            self.content.pop(key, None)
            return
        try:
            self.content[key] = self._topic.codec.decode(value, ())
        except Rejected as error:
            log.error("view_entry_undecodable", view=self.name, key=key, error=str(error))
