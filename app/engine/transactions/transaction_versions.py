"""The two ways in which clusters end a transaction, by their finalized feature `transaction.version` (X3, X5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.structs import TopicPartition

from app.engine.broker.codes import check
from app.engine.broker.transaction_requests import (
    AddOffsetsToTxn,
    AddPartitionsToTxn,
    EndTxn3,
    EndTxn5,
    Produce9,
    Produce12,
    TxnOffsetCommit3,
    TxnOffsetCommit5,
)
from app.engine.tasks.outbox import Batches
from app.engine.transactions.transaction import Claim, Transactions

NOT_ATTEMPTED = 55  # another partition of the request is at fault
UNKNOWN_TOPIC = 3


class Version2(Transactions):
    """Kafka 4 (KIP-890): what is written adds itself, and with its end the transaction's epoch is over."""

    produce, txn_offset_commit = Produce12, TxnOffsetCommit5
    requests = (Produce12, TxnOffsetCommit5, EndTxn5)

    async def _end(self) -> None:
        await self._end_as(committed=True)

    async def abort(self) -> None:
        await self._end_as(committed=False)

    async def _end_as(self, *, committed: bool) -> None:
        """Repeated with the same pair after a lost answer: 0 and a new pair says that it held."""

        async def attempt() -> int | None:
            answer = await self._ask(EndTxn5(self._id, self._producer_id, self._epoch, committed, {}))
            return self._renewed(answer, "EndTxn")

        await self._until_done("EndTxn", attempt)


class Version1(Transactions):
    """Kafka 3 (KIP-98): partitions and group are added first; epoch and sequences outlast the transaction.

    A request whose answer was lost may still be on its way, and under an old epoch it would count in the next
    transaction: an EndTxn would end it half written. So what missed an answer is followed by a new epoch, and an
    abort is one: the markers that it writes keep out all that comes late.
    """

    produce, txn_offset_commit = Produce9, TxnOffsetCommit3
    requests = (AddPartitionsToTxn, AddOffsetsToTxn, Produce9, TxnOffsetCommit3, EndTxn3)

    async def _produce_all(self, batches: Batches, bases: dict[TopicPartition, int]) -> None:
        await self._add_partitions(batches)
        await super()._produce_all(batches, bases)

    async def _commit_positions(self, positions: Mapping[TopicPartition, int], claim: Claim) -> None:
        await self._add_group()
        await super()._commit_positions(positions, claim)

    async def _end(self) -> None:
        """Repeated with the same pair after a lost answer: 0 says that it held.

        The coordinator has answered that this transaction was begun under the pair, so no earlier one is meant.
        """

        async def attempt() -> int | None:
            answer = await self._ask(EndTxn3(self._id, self._producer_id, self._epoch, True, {}))
            return check(answer.error_code, "EndTxn")

        await self._until_done("EndTxn", attempt)
        if self._unanswered:
            await self.init()

    async def abort(self) -> None:
        await self.init()

    async def _add_partitions(self, added: Iterable[TopicPartition]) -> None:
        by_topic: dict[str, list[int]] = defaultdict(list)
        for at in added:
            by_topic[at.topic].append(at.partition)
        topics: list[tuple[Any, ...]] = [(topic, numbers, {}) for topic, numbers in by_topic.items()]

        async def attempt() -> int | None:
            answer = await self._ask(AddPartitionsToTxn(self._id, self._producer_id, self._epoch, topics, {}))
            return await self._added(answer)

        await self._until_done("AddPartitionsToTxn", attempt)

    async def _added(self, answer: Any) -> int | None:
        worst = None
        for topic, partitions, _ in answer.topics:
            for number, code, _ in partitions:
                if code == UNKNOWN_TOPIC:
                    await self._missing(TopicPartition(topic, number))
                if code != NOT_ATTEMPTED:
                    worst = check(code, f"AddPartitionsToTxn {topic}/{number}") or worst
        return worst

    async def _add_group(self) -> None:
        async def attempt() -> int | None:
            answer = await self._ask(AddOffsetsToTxn(self._id, self._producer_id, self._epoch, self._group, {}))
            return check(answer.error_code, "AddOffsetsToTxn")

        await self._until_done("AddOffsetsToTxn", attempt)
