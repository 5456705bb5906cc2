"""Kafka requests that aiokafka 0.14 does not have, in the versions that transactions with group fencing need.

TxnOffsetCommit v5 and Produce v12 add themselves to the transaction, EndTxn v5 moves the epoch on
(KIP-890); TxnOffsetCommit carries generation and member (KIP-447); Heartbeat v4 the instance id.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from aiokafka import errors
from aiokafka.protocol.api import RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

Text = CompactString("utf-8")
Tags = ("tags", TaggedFields)  # send {} only: aiokafka's encoder forgets the size of each tag
Field = tuple[str, Any]


def request(name: str, key: int, version: int, sends: list[Field], answers: list[Field], **more: Any) -> Any:
    """A request class that aiokafka's connections can send: they only call `.prepare(versions)`."""
    response = type(
        f"{name}Response", (Response,), {"API_KEY": key, "API_VERSION": version, "SCHEMA": Schema(*answers)}
    )
    fields = {"API_KEY": key, "API_VERSION": version, "RESPONSE_TYPE": response, "SCHEMA": Schema(*sends)}
    struct = type(f"{name}Struct", (RequestStruct,), fields | {"FLEXIBLE_VERSION": True} | more)

    class Prepared:
        API_KEY = key
        required_acks = -1

        def __init__(self, *values: Any) -> None:
            self.values = values

        def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
            oldest, newest = versions.get(key, (0, -1))
            if not oldest <= version <= newest:
                raise errors.IncompatibleBrokerVersion(f"{name} v{version}: the broker knows {oldest} to {newest}")
            return struct(*self.values)

    Prepared.__name__ = name
    return Prepared


class Uuid(AbstractType[bytes]):  # type: ignore[misc]
    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value


def _per_partition(*fields: Field) -> Field:
    return "topics", CompactArray(
        ("topic", Text), ("partitions", CompactArray(("partition", Int32), *fields, Tags)), Tags
    )


_TRANSACTION: list[Field] = [("transactional_id", Text)]
_PRODUCER: list[Field] = [("producer_id", Int64), ("epoch", Int16)]
_ERROR: Field = ("error_code", Int16)
_THROTTLE: Field = ("throttle_ms", Int32)
_OFFSET: list[Field] = [("offset", Int64), ("leader_epoch", Int32), ("metadata", Text)]

InitProducerId = request(
    "InitProducerId",
    22,
    4,
    [*_TRANSACTION, ("timeout_ms", Int32), *_PRODUCER, Tags],
    [_THROTTLE, _ERROR, *_PRODUCER, Tags],
)
Produce = request(
    "Produce",
    0,
    12,
    [*_TRANSACTION, ("acks", Int16), ("timeout_ms", Int32), _per_partition(("records", CompactBytes)), Tags],
    [
        _per_partition(
            _ERROR,
            ("base_offset", Int64),
            ("append_time", Int64),
            ("log_start", Int64),
            ("record_errors", CompactArray(("index", Int32), ("message", Text), Tags)),
            ("error_message", Text),
        ),
        _THROTTLE,
        Tags,
    ],
)
TxnOffsetCommit = request(
    "TxnOffsetCommit",
    28,
    5,
    [
        *_TRANSACTION,
        ("group", Text),
        *_PRODUCER,
        ("generation", Int32),
        ("member", Text),
        ("instance", Text),
        _per_partition(*_OFFSET),
        Tags,
    ],
    [_THROTTLE, _per_partition(_ERROR), Tags],
)
EndTxn = request(
    "EndTxn",
    26,
    5,
    [*_TRANSACTION, *_PRODUCER, ("committed", Boolean), Tags],
    [_THROTTLE, _ERROR, *_PRODUCER, Tags],
)
OffsetFetch = request(
    "OffsetFetch",
    9,
    7,
    [
        ("group", Text),
        ("topics", CompactArray(("topic", Text), ("partitions", CompactArray(Int32)), Tags)),
        ("require_stable", Boolean),
        Tags,
    ],
    [_THROTTLE, _per_partition(*_OFFSET, _ERROR), _ERROR, Tags],
)
Heartbeat = request(
    "Heartbeat",
    12,
    4,
    [("group", Text), ("generation", Int32), ("member", Text), ("instance", Text), Tags],
    [_THROTTLE, _ERROR, Tags],
)
LeaveGroup = request(
    "LeaveGroup",
    13,
    5,
    [("group", Text), ("members", CompactArray(("member", Text), ("instance", Text), ("reason", Text), Tags)), Tags],
    [_THROTTLE, _ERROR, ("members", CompactArray(("member", Text), ("instance", Text), _ERROR, Tags)), Tags],
)
DescribeProducers = request(
    "DescribeProducers",
    61,
    0,
    [("topics", CompactArray(("topic", Text), ("partitions", CompactArray(Int32)), Tags)), Tags],
    [
        _THROTTLE,
        _per_partition(
            _ERROR,
            ("error_message", Text),
            (
                "producers",
                CompactArray(
                    ("producer_id", Int64),
                    ("epoch", Int32),
                    ("last_sequence", Int32),
                    ("last_timestamp", Int64),
                    ("coordinator_epoch", Int32),
                    ("open_since", Int64),
                    Tags,
                ),
            ),
        ),
        Tags,
    ],
)
ApiVersions = request(
    "ApiVersions",
    18,
    3,
    [("name", Text), ("version", Text), Tags],
    [_ERROR, ("apis", CompactArray(("key", Int16), ("oldest", Int16), ("newest", Int16), Tags)), _THROTTLE, Tags],
    parse_response_header=lambda _self, buffer: ResponseHeader_v0.decode(buffer),
)
_NUMBERS = CompactArray(Int32)
Metadata = request(
    "Metadata",
    3,
    12,
    [
        ("topics", CompactArray(("topic_id", Uuid), ("name", Text), Tags)),
        ("create", Boolean),
        ("authorized", Boolean),
        Tags,
    ],
    [
        _THROTTLE,
        ("brokers", CompactArray(("node", Int32), ("host", Text), ("port", Int32), ("rack", Text), Tags)),
        ("cluster_id", Text),
        ("controller", Int32),
        (
            "topics",
            CompactArray(
                _ERROR,
                ("name", Text),
                ("topic_id", Uuid),
                ("internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        _ERROR,
                        ("number", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", _NUMBERS),
                        ("in_sync", _NUMBERS),
                        ("offline", _NUMBERS),
                        Tags,
                    ),
                ),
                ("operations", Int32),
                Tags,
            ),
        ),
        Tags,
    ],
)
NO_ID = bytes(16)
CreateTopics = request(
    "CreateTopics",
    19,
    5,
    [
        (
            "topics",
            CompactArray(
                ("name", Text),
                ("partitions", Int32),
                ("replicas", Int16),
                ("assignments", CompactArray(("partition", Int32), ("brokers", _NUMBERS), Tags)),
                ("configs", CompactArray(("name", Text), ("value", Text), Tags)),
                Tags,
            ),
        ),
        ("timeout_ms", Int32),
        ("validate_only", Boolean),
        Tags,
    ],
    [
        _THROTTLE,
        (
            "topics",
            CompactArray(
                ("name", Text),
                _ERROR,
                ("error_message", Text),
                ("partitions", Int32),
                ("replicas", Int16),
                (
                    "configs",
                    CompactArray(
                        ("name", Text),
                        ("value", Text),
                        ("read_only", Boolean),
                        ("source", Int8),
                        ("sensitive", Boolean),
                        Tags,
                    ),
                ),
                Tags,
            ),
        ),
        Tags,
    ],
)
CreatePartitions = request(
    "CreatePartitions",
    37,
    2,
    [
        (
            "topics",
            CompactArray(
                ("name", Text), ("count", Int32), ("assignments", CompactArray(("brokers", _NUMBERS), Tags)), Tags
            ),
        ),
        ("timeout_ms", Int32),
        ("validate_only", Boolean),
        Tags,
    ],
    [_THROTTLE, ("results", CompactArray(("name", Text), _ERROR, ("error_message", Text), Tags)), Tags],
)
FINALIZED = 2  # the tag of ApiVersions that holds the features in force
