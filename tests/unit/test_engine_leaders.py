"""Rules X3 and X4 where partitions have several leaders, or none for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import LeaderNotAvailableError, TopicAuthorizationFailedError
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from app.domain.errors import NotYet
from app.engine import views
from app.engine.broker.cluster import ask_any
from app.engine.broker.codes import TopicGone
from app.engine.broker.ends import Bounds, known_bounds
from app.engine.broker.fetch import Stretch
from app.engine.broker.transaction_requests import Produce12
from app.engine.group import recovery
from app.engine.group.recovery import restore
from app.engine.processor import View
from app.engine.transactions.transaction import GONE_AFTER
from app.engine.transactions.transaction_versions import Version2
from app.engine.views import Followed
from app.wire.topics import Cleanup, Topic
from tests.support.toy import Json, Limit
from tests.unit.test_engine_store import opened, state

ONE, OTHER = TopicPartition("sums", 0), TopicPartition("sums", 1)


class Brokers:
    """A client of two brokers; `away` ones take no request. What is sent to whom is kept."""

    def __init__(self, leaders: dict[TopicPartition, int | None]) -> None:
        self.leaders, self.away = leaders, set[int]()
        self.sent: list[tuple[int, Any]] = []
        self.codes: list[int] = []  # that the next questions for ends are answered with
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
        if isinstance(request, OffsetRequest):
            code = self.codes.pop(0) if self.codes else 0
            return SimpleNamespace(topics=[(topic, [(n, code, 0, 8) for n, _ in of]) for topic, of in request._topics])
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


class Log:
    """Of eight rows, five of which a leader that is new tells of at first."""

    def __init__(self) -> None:
        self.asked = 0

    async def stretches(self, _client: Any, _at: Any, offset: int, wait_ms: int = 50) -> AsyncIterator[Stretch]:
        assert wait_ms
        while True:
            self.asked += 1
            end = 5 if self.asked == 1 else 8
            rows: list[tuple[bytes, bytes | None]] = [(b"\1k-%d" % n, state("x")) for n in range(offset, end)]
            offset = end
            yield Stretch(rows, end, end, end)


async def known_to_the_leader(_client: Any, partitions: list[TopicPartition]) -> dict[TopicPartition, Bounds]:
    return dict.fromkeys(partitions, Bounds(0, 8, 8))


async def test_s6_a_restore_reads_what_a_new_leader_does_not_tell_yet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its first answer to a fetch has an older high watermark: states would be missing."""
    monkeypatch.setattr(recovery, "stretches", Log().stretches)
    monkeypatch.setattr(recovery, "known_bounds", known_to_the_leader)
    store = opened(tmp_path / "task-0")
    assert await restore(Brokers({}), ONE, store, lambda _done, _left: None) == 8
    assert store.meta.changelog_offset == 8
    store.close()


async def test_r5_a_new_leader_does_not_make_an_entry_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    monkeypatch.setattr(views, "stretches", log.stretches)
    monkeypatch.setattr(views, "known_bounds", known_to_the_leader)
    limits: Followed[Limit] = Followed(
        View("limits", Topic("limits", Json(Limit), cleanup=Cleanup.COMPACT)), Brokers({}), 1
    )
    for _ in range(2):  # rounds: enough for a key to be absent
        with pytest.raises(NotYet):
            limits.get("not there")
        await limits.read_to_end()
    with pytest.raises(NotYet):
        limits.get("not there")
    await limits.read_to_end()
    assert limits.get("not there") is None


async def test_x4_ends_are_asked_for_until_the_leader_knows_them() -> None:
    client = Brokers({ONE: 1})
    client.away, client.codes = {1}, [LeaderNotAvailableError.errno] * 3
    assert await known_bounds(client, [ONE]) == {ONE: Bounds(8, 8, 8)}
    client.codes = [TopicAuthorizationFailedError.errno] * 3
    with pytest.raises(TopicAuthorizationFailedError):
        await known_bounds(client, [ONE])
