"""One transactional id: its producer id and epoch, and one transaction after the other.

What differs between the two versions of the protocol is in transaction_versions.py (X5).

aiokafka's own transactions know no group generation (KIP-447) and wait 20 to 100 ms where ours wait
one; connections, metadata and security stay aiokafka's. The id belongs to a worker's slot, and its
transactions carry all tasks of the worker (docs/transaction-grain.md).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from time import monotonic
from typing import Any, ClassVar, NamedTuple

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.structs import TopicPartition

from app.engine.broker.codes import (
    CONCURRENT_TRANSACTIONS,
    COORDINATOR_MOVED,
    METADATA_STALE,
    UNREACHABLE,
    TopicGone,
    check,
)
from app.engine.broker.transaction_requests import InitProducerId
from app.engine.faults import fault_point
from app.engine.tasks.outbox import Batches

DUPLICATE_SEQUENCE = 46  # an earlier try got through
SEQUENCES = 1 << 31  # after the last one comes 0
GONE_AFTER = 40  # tries, some 15 seconds
LEADERLESS = -1  # its brokers are away: it is waited for
FIRST_BACKOFF_S, LONGEST_BACKOFF_S, CONCURRENT_BACKOFF_S = 0.001, 0.5, 0.02


class Claim(NamedTuple):
    """The right to commit positions: taken when the assignment is given, compared whole, never renewed (T3)."""

    generation: int
    member: str
    instance: str | None


class Transactions(ABC):
    """Version1 or Version2."""

    produce: ClassVar[Any]
    txn_offset_commit: ClassVar[Any]

    def __init__(self, client: AIOKafkaClient, transactional_id: str, group: str, timeout_ms: int) -> None:
        self._client, self._id, self._group, self._timeout_ms = client, transactional_id, group, timeout_ms
        self._producer_id, self._epoch = -1, -1
        self._sequences: dict[TopicPartition, int] = defaultdict(int)
        self._coordinators: dict[Any, int] = {}
        self._absent: Counter[TopicPartition] = Counter()  # tries for which it was not in the metadata
        self._unanswered = False  # under this epoch: some request may still be on its way
        self.trouble: tuple[float, str] | None = None  # since when, on the monotonic clock, and what

    async def init(self) -> None:
        """Fence whoever had the id before, and end what it had open."""

        async def attempt() -> int | None:
            answer = await self._ask(InitProducerId(self._id, self._timeout_ms, -1, -1, {}))
            return self._renewed(answer, "InitProducerId")

        await self._until_done("InitProducerId", attempt)
        self._unanswered = False

    def _renewed(self, answer: Any, what: str) -> int | None:
        code = check(answer.error_code, what)
        if code is None:
            self._producer_id, self._epoch = answer.producer_id, answer.epoch
            self._sequences.clear()
        return code

    async def commit(
        self, batches: Batches, positions: Mapping[TopicPartition, int], claim: Claim
    ) -> dict[TopicPartition, int]:
        """Outputs, states and positions at once. Returns the base offset of the last batch by partition.

        Without an entry where the broker could not tell it. Raises Fenced, TransactionLost, UnpinnedRecord.
        """
        bases: dict[TopicPartition, int] = {}
        parts = [self._produce_all(batches, bases)]
        if positions:
            parts.append(self._commit_positions(positions, claim))
        await _all_or_none(*parts)
        fault_point("before_end")
        await self._end()
        return bases

    @abstractmethod
    async def _end(self) -> None:
        """Returns when it is known that all is committed. Raises for any other outcome, an unknown one among them."""

    @abstractmethod
    async def abort(self) -> None: ...

    async def _produce_all(self, batches: Batches, bases: dict[TopicPartition, int]) -> None:
        """In rounds: one batch a partition in each request."""
        for turn in range(max(map(len, batches.values()), default=0)):
            ready = {}
            for at, mine in batches.items():
                if turn < len(mine):
                    ready[at] = mine[turn].build(self._producer_id, self._epoch, self._sequences[at])
                    self._sequences[at] = (self._sequences[at] + mine[turn].count) % SEQUENCES
            await self._produce(ready, bases)

    async def _produce(self, left: dict[TopicPartition, bytes], bases: dict[TopicPartition, int]) -> None:
        async def attempt() -> int | None:
            by_node = await self._by_leader(left)
            requests = [
                self._send(
                    node, self.produce(self._id, -1, 10_000, [(topic, of, {}) for topic, of in topics.items()], {})
                )
                for node, topics in by_node.items()
            ]
            worst, unanswered = None, None
            for answer in await asyncio.gather(*requests, return_exceptions=True):
                if isinstance(answer, BaseException):
                    unanswered = answer
                else:
                    worst = self._produced(answer, left, bases) or worst
            if unanswered is not None:
                raise unanswered
            return worst if worst is not None or not left else min(METADATA_STALE)

        await self._until_done("Produce", attempt)

    async def _by_leader(self, left: Mapping[TopicPartition, bytes]) -> dict[int, dict[str, list[Any]]]:
        found: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for at, raw in left.items():
            leader = self._client.cluster.leader_for_partition(at)
            if leader is None:
                await self._missing(at)
            elif leader != LEADERLESS:
                found[leader][at.topic].append((at.partition, raw, {}))
        return found

    async def _missing(self, at: TopicPartition) -> None:
        """Raises TopicGone when the topic stays away: waiting for it would hold every task."""
        await self._client.add_topic(at.topic)
        self._absent[at] += 1
        if self._absent[at] > GONE_AFTER:
            raise TopicGone(f"{at.topic}/{at.partition} is not there any more: was the topic deleted?")

    def _produced(self, answer: Any, left: dict[TopicPartition, bytes], bases: dict[TopicPartition, int]) -> int | None:
        worst = None
        for topic, partitions, _ in answer.topics:
            for number, code, base, *_rest in partitions:
                at = TopicPartition(topic, number)
                again = check(0 if code == DUPLICATE_SEQUENCE else code, f"Produce {topic}/{number}")
                if again is not None:
                    worst = again
                    continue
                del left[at]
                self._absent.pop(at, None)
                if base >= 0 and code != DUPLICATE_SEQUENCE:
                    bases[at] = base
                else:
                    bases.pop(at, None)
        return worst

    async def _commit_positions(self, positions: Mapping[TopicPartition, int], claim: Claim) -> None:
        by_topic: dict[str, list[Any]] = defaultdict(list)
        for at, offset in positions.items():
            by_topic[at.topic].append((at.partition, offset, -1, "", {}))
        topics: list[tuple[Any, ...]] = [(topic, partitions, {}) for topic, partitions in by_topic.items()]

        async def attempt() -> int | None:
            node = await self._coordinator(CoordinationType.GROUP, self._group)
            producer = self._producer_id, self._epoch
            request = self.txn_offset_commit(self._id, self._group, *producer, *claim, topics, {})
            answer = await self._send(node, request)
            codes = [check(code, f"TxnOffsetCommit {topic}") for topic, of, _ in answer.topics for _, code, _ in of]
            return next((code for code in codes if code is not None), None)

        await self._until_done("TxnOffsetCommit", attempt)

    async def _ask(self, request: Any) -> Any:
        """The coordinator of the transaction."""
        return await self._send(await self._coordinator(CoordinationType.TRANSACTION, self._id), request)

    async def _coordinator(self, kind: Any, key: str) -> int:
        node = self._coordinators.get(kind)
        if node is None:
            node = self._coordinators[kind] = await self._client.coordinator_lookup(kind, key)
        return node

    async def _send(self, node: int, request: Any) -> Any:
        group = ConnectionGroup.COORDINATION if not isinstance(request, self.produce) else ConnectionGroup.DEFAULT
        return await self._client.send(node, request, group=group)

    async def _until_done(self, what: str, attempt: Callable[[], Awaitable[int | None]]) -> None:
        """Retriable codes and lost connections are tried again without limit (X4)."""
        backoff = FIRST_BACKOFF_S
        while True:
            try:
                code: int | str | None = await attempt()
            except UNREACHABLE as error:
                code, backoff = type(error).__name__, max(backoff, 0.05)
                self._unanswered = True
                self._coordinators.clear()
            if code is None:
                self.trouble = None
                return
            self.trouble = self.trouble or (monotonic(), f"{what}: {code}")
            await self._prepare_retry(code)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 1.6, CONCURRENT_BACKOFF_S if code == CONCURRENT_TRANSACTIONS else LONGEST_BACKOFF_S)

    async def _prepare_retry(self, code: int | str) -> None:
        if code in COORDINATOR_MOVED:
            self._coordinators.clear()
        if isinstance(code, str) or code in METADATA_STALE:
            await asyncio.wait([asyncio.ensure_future(self._client.force_metadata_update())], timeout=5)


async def _all_or_none(*parts: Coroutine[Any, Any, None]) -> None:
    """Run together; when one fails the others are cancelled and awaited before it is raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
