"""Which brokers are new enough, and what is said of one that is not: rule X5."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import pytest
from aiokafka.client import AIOKafkaClient

from app.engine.broker import protocol
from app.engine.startup import REQUESTS, NotReady, choose_version
from app.engine.transactions.transaction_versions import Version1, Version2

KAFKA_3_2 = {0: (0, 9), 3: (0, 12), 9: (0, 8), 12: (0, 4), 13: (0, 5), 18: (0, 3), 19: (0, 7), 22: (0, 4)} | {
    24: (0, 3), 25: (0, 3), 26: (0, 3), 28: (0, 3), 37: (0, 3), 61: (0, 0), 66: (0, 0),
}  # fmt: skip  # as 3.2.3 says
KAFKA_3_1 = KAFKA_3_2 | {13: (0, 4)}  # as 3.1.2 says
FINALIZED_2 = bytes.fromhex("02147472616e73616374696f6e2e76657273696f6e0002000200")  # transaction.version


class Answer(NamedTuple):
    apis: list[tuple[int, int, int, dict[int, bytes]]]
    tags: dict[int, bytes]


class Node:
    """Says which versions it knows, and answers ApiVersions alone."""

    def __init__(self, versions: dict[int, tuple[int, int]], tags: dict[int, bytes]) -> None:
        self._versions, self._tags = versions, tags

    @property
    def cluster(self) -> Node:
        return self

    def brokers(self) -> list[Node]:
        return [self]

    nodeId = 1  # aiokafka's name

    async def send(self, _node: int, request: Any, **_to: Any) -> Answer:
        request.prepare(self._versions)
        return Answer([(key, *known, {}) for key, known in self._versions.items()], self._tags)


def node(versions: dict[int, tuple[int, int]], tags: dict[int, bytes] | None = None) -> AIOKafkaClient:
    return cast(AIOKafkaClient, Node(versions, tags or {}))


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        (KAFKA_3_1, "LeaveGroup version 5 is needed, it knows 0 to 4; expected Kafka 3.2 or later"),
        (KAFKA_3_2 | {18: (0, 2)}, "ApiVersions version 3 is needed, it knows 0 to 2; expected Kafka 3.2 or later"),
        (KAFKA_3_2 | {26: (0, 2)}, "EndTxn version 3 is needed, it knows 0 to 2"),
        (
            {key: known for key, known in KAFKA_3_2.items() if key != 61},
            "DescribeProducers version 0 is needed, it kno",
        ),
    ],
)
async def test_x5_a_broker_that_is_too_old_is_refused_naming_what_was_found_and_expected(
    versions: dict[int, tuple[int, int]], said: str
) -> None:
    with pytest.raises(NotReady, match=f"the broker is too old: {said}"):
        await choose_version(node(versions))


async def test_x5_the_feature_chooses_and_no_feature_is_version_1() -> None:
    newest = KAFKA_3_2 | {0: (0, 12), 26: (0, 5), 28: (0, 5)}
    assert await choose_version(node(KAFKA_3_2)) is Version1
    assert await choose_version(node(newest)) is Version1
    assert await choose_version(node(newest, {protocol.FINALIZED: FINALIZED_2})) is Version2


def test_x5_every_request_of_a_worker_is_looked_for() -> None:
    defined = {each.__name__ for each in vars(protocol).values() if hasattr(each, "API_KEY") and hasattr(each, "check")}
    assert defined - {request.__name__ for request in REQUESTS} == {"ApiVersions"}
