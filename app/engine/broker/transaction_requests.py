"""The requests of a transaction, in the versions for either `transaction.version` (X5).

From Produce v12, TxnOffsetCommit v5 and EndTxn v5 on, what is written adds itself to the transaction
and its end moves the epoch on (KIP-890); before, partitions and group are added by requests of their own.
"""

from __future__ import annotations

from typing import Any

from aiokafka.protocol.types import Boolean, CompactArray, CompactBytes, Int16, Int32, Int64

from app.engine.broker.protocol import ERROR, OFFSET, THROTTLE, Field, Tags, Text, per_partition, request

_TRANSACTION: list[Field] = [("transactional_id", Text)]
_PRODUCER: list[Field] = [("producer_id", Int64), ("epoch", Int16)]

InitProducerId = request(
    "InitProducerId",
    22,
    4,
    [*_TRANSACTION, ("timeout_ms", Int32), *_PRODUCER, Tags],
    [THROTTLE, ERROR, *_PRODUCER, Tags],
)
AddPartitionsToTxn = request(
    "AddPartitionsToTxn",
    24,
    3,
    [
        *_TRANSACTION,
        *_PRODUCER,
        ("topics", CompactArray(("topic", Text), ("partitions", CompactArray(Int32)), Tags)),
        Tags,
    ],
    [THROTTLE, per_partition(ERROR), Tags],
)
AddOffsetsToTxn = request(
    "AddOffsetsToTxn", 25, 3, [*_TRANSACTION, *_PRODUCER, ("group", Text), Tags], [THROTTLE, ERROR, Tags]
)


def _produce(version: int) -> Any:
    return request(
        "Produce",
        0,
        version,
        [*_TRANSACTION, ("acks", Int16), ("timeout_ms", Int32), per_partition(("records", CompactBytes)), Tags],
        [
            per_partition(
                ERROR,
                ("base_offset", Int64),
                ("append_time", Int64),
                ("log_start", Int64),
                ("record_errors", CompactArray(("index", Int32), ("message", Text), Tags)),
                ("error_message", Text),
            ),
            THROTTLE,
            Tags,
        ],
    )


def _txn_offset_commit(version: int) -> Any:
    return request(
        "TxnOffsetCommit",
        28,
        version,
        [
            *_TRANSACTION,
            ("group", Text),
            *_PRODUCER,
            ("generation", Int32),
            ("member", Text),
            ("instance", Text),
            per_partition(*OFFSET),
            Tags,
        ],
        [THROTTLE, per_partition(ERROR), Tags],
    )


def _end_txn(version: int, answers: list[Field]) -> Any:
    sends = [*_TRANSACTION, *_PRODUCER, ("committed", Boolean), Tags]
    return request("EndTxn", 26, version, sends, [THROTTLE, ERROR, *answers, Tags])


Produce9, Produce12 = _produce(9), _produce(12)
TxnOffsetCommit3, TxnOffsetCommit5 = _txn_offset_commit(3), _txn_offset_commit(5)
EndTxn3, EndTxn5 = _end_txn(3, []), _end_txn(5, _PRODUCER)
