"""Rules X3 and X4 where partitions have several leaders, or none for a while."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from app.engine.cluster import ask_any
from app.engine.transaction import GONE_AFTER, TopicGone
from app.engine.transaction_requests import Produce12
from app.engine.transaction_versions import Version2

ONE, OTHER = TopicPartition("sums", 0), TopicPartition("sums", 1)


class Brokers:
    """A client of two brokers; `away` ones take no request. What is sent to whom is kept."""

    def __init__(self, leaders: dict[TopicPartition, int | None]) -> None:
        self.leaders, self.away = leaders, set[int]()
        self.sent: list[tuple[int, Any]] = []
        nodes = [SimpleNamespace(nodeId=node) for node in (1, 2)]
        self.cluster = SimpleNamespace(leader_for_partition=leaders.get, brokers=lambda: nodes)

    async def add_topic(self, _topic: str) -> bool:
        return True

    async def force_metadata_update(self) -> bool:
        self.away.clear()
        return True

    async def send(self, node: int, request: Any, **_: Any) -> Any:
        self.sent.append((node, request))
        if node in self.away:
            raise ConnectionError(node)
        if not isinstance(request, Produce12):
            return node
        topics = request.values[3]
        return SimpleNamespace(topics=[(topic, [(n, 0, 7) for n, *_ in of], {}) for topic, of, _ in topics])


def over(client: Brokers) -> Version2:
    return Version2(client, "id", "group", 1_000)


async def test_x4_a_partition_without_a_leader_is_waited_for_and_one_that_is_gone_is_not() -> None:
    client = Brokers({ONE: -1, OTHER: None})
    for _ in range(2 * GONE_AFTER):
        assert await over(client)._by_leader({ONE: b""}) == {}
    mine = over(client)
    for _ in range(GONE_AFTER):
        await mine._by_leader({OTHER: b""})
    with pytest.raises(TopicGone, match="sums/1"):
        await mine._by_leader({OTHER: b""})


async def test_x3_what_one_leader_has_taken_is_not_sent_again_for_the_other() -> None:
    client, bases = Brokers({ONE: 1, OTHER: 2}), dict[TopicPartition, int]()
    client.away = {1}
    await over(client)._produce({ONE: b"one", OTHER: b"other"}, bases)
    assert [node for node, _ in client.sent] == [1, 2, 1]
    assert bases == {ONE: 7, OTHER: 7}


@pytest.mark.parametrize("away", [1, 2])
async def test_x4_any_broker_that_answers_will_do(away: int) -> None:
    for _ in range(9):
        client = Brokers({})
        client.away = {away}
        assert await ask_any(client, "what is there") == 3 - away


async def test_x4_where_none_answers_it_is_said() -> None:
    client = Brokers({})
    client.away = {1, 2}
    with pytest.raises(ConnectionError):
        await ask_any(client, "what is there")
    assert len(client.sent) == 2
