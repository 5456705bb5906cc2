"""Kafka requests that aiokafka 0.14 does not have, or not in these versions; Heartbeat v4 carries the instance id.

Those of a transaction are in transaction_requests.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from aiokafka import errors
from aiokafka.protocol.api import RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
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

        @staticmethod
        def check(versions: Mapping[int, tuple[int, int]]) -> None:
            oldest, newest = versions.get(key, (0, -1))
            if not oldest <= version <= newest:
                known = f"it knows {oldest} to {newest}" if key in versions else "it knows none"
                raise errors.IncompatibleBrokerVersion(f"{name} version {version} is needed, {known}")

        def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
            self.check(versions)
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


def per_partition(*fields: Field) -> Field:
    return "topics", CompactArray(
        ("topic", Text), ("partitions", CompactArray(("partition", Int32), *fields, Tags)), Tags
    )


ERROR: Field = ("error_code", Int16)
THROTTLE: Field = ("throttle_ms", Int32)
OFFSET: list[Field] = [("offset", Int64), ("leader_epoch", Int32), ("metadata", Text)]

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
    [THROTTLE, per_partition(*OFFSET, ERROR), ERROR, Tags],
)
Heartbeat = request(
    "Heartbeat",
    12,
    4,
    [("group", Text), ("generation", Int32), ("member", Text), ("instance", Text), Tags],
    [THROTTLE, ERROR, Tags],
)
LeaveGroup = request(
    "LeaveGroup",
    13,
    5,
    [("group", Text), ("members", CompactArray(("member", Text), ("instance", Text), ("reason", Text), Tags)), Tags],
    [THROTTLE, ERROR, ("members", CompactArray(("member", Text), ("instance", Text), ERROR, Tags)), Tags],
)
DescribeProducers = request(
    "DescribeProducers",
    61,
    0,
    [("topics", CompactArray(("topic", Text), ("partitions", CompactArray(Int32)), Tags)), Tags],
    [
        THROTTLE,
        per_partition(
            ERROR,
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
ListTransactions = request(
    "ListTransactions",
    66,
    0,
    [("states", CompactArray(Text)), ("producer_ids", CompactArray(Int64)), Tags],
    [
        THROTTLE,
        ERROR,
        ("unknown_states", CompactArray(Text)),
        (
            "transactions",
            CompactArray(("transactional_id", Text), ("producer_id", Int64), ("state", Text), Tags),
        ),
        Tags,
    ],
)
ApiVersions = request(
    "ApiVersions",
    18,
    3,
    [("name", Text), ("version", Text), Tags],
    [ERROR, ("apis", CompactArray(("key", Int16), ("oldest", Int16), ("newest", Int16), Tags)), THROTTLE, Tags],
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
        THROTTLE,
        ("brokers", CompactArray(("node", Int32), ("host", Text), ("port", Int32), ("rack", Text), Tags)),
        ("cluster_id", Text),
        ("controller", Int32),
        (
            "topics",
            CompactArray(
                ERROR,
                ("name", Text),
                ("topic_id", Uuid),
                ("internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ERROR,
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
        THROTTLE,
        (
            "topics",
            CompactArray(
                ("name", Text),
                ERROR,
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
    [THROTTLE, ("results", CompactArray(("name", Text), ERROR, ("error_message", Text), Tags)), Tags],
)
FINALIZED = 2  # the tag of ApiVersions that holds the features in force
