"""What HTTP asks of a worker, answered from committed states of its own tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

from app.config import Settings
from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import BreakerAct
from app.domain.breakers.scopes import Scopes
from app.engine import tail
from app.engine.broker.admin import RawOut, Refused, connected
from app.engine.group.owned import Owned
from app.engine.group.placement import TaskId
from app.engine.health.pulse import Pulse
from app.engine.processor import Table
from app.engine.service import Worker
from app.engine.state.rocks import Closed
from app.engine.state.stored import Unreadable, mark_of
from app.engine.tail import Log, Seen
from app.web.service import (
    Component,
    Door,
    Elsewhere,
    Health,
    Keepers,
    NotNow,
    NotSent,
    Page,
    Restoring,
    Status,
    Stored,
)
from app.wire.codec import Envelope
from app.wire.partition import partition
from app.wire.topics import BREAKER_ACTS, BREAKER_TRANSITIONS, CALL_OUTCOMES, Topic
from tables.breaker import policies, scopes

S = TypeVar("S")
Row = tuple[bytes, bytes, Owned]
STEP = 500  # rows read at a time


class Answers:
    """`app.web.service.Service`, of one worker; `settings` are those that count at this moment."""

    def __init__(self, worker: Worker, settings: Callable[[], Settings]) -> None:
        self._worker, self._settings = worker, settings
        self._pulse: Pulse = worker.pulse
        self._loop = asyncio.get_running_loop()

    def health(self) -> Health:
        findings = self._pulse.findings()
        dead = [finding.what for finding in findings if finding.dead]
        unready = [finding.what for finding in findings if finding.unready]
        tasks = {owned.task.name: str(owned.state) for owned in self._worker.engine.owned.values()}
        noted = {"tasks": tasks, "noted": [finding.what for finding in findings]}
        broker = [what for what in unready if what.startswith("broker away")]
        return Health(
            {
                "kafka": Component(
                    Status.DOWN if broker else Status.UP, {"bootstrapServers": self._settings().bootstrap}
                ),
                "tasks": Component(Status.DOWN if dead else Status.UP, noted),
            },
            Component(Status.DOWN if dead else Status.UP, {"reasons": dead} if dead else {}),
            Component(Status.OUT_OF_SERVICE if unready else Status.UP, {"reasons": unready} if unready else {}),
        )

    def info(self) -> Mapping[str, Any]:
        worker = self._worker
        return {
            "app": {"name": self._settings().application, "version": worker.plan.version},
            "worker": {
                "slot": worker.slot.number,
                "instance": worker.slot.instance,
                "group": worker.plan.group,
                "url": worker.url,
            },
            "cluster": {"id": worker.cluster.id},
        }

    def door(self) -> Door:
        return Door(self._settings().host, self._settings().http_token)

    def now_ms(self) -> int:
        return self._worker.engine.clock.now_ms()

    def policy(self, breaker: str) -> Policy:
        found: Policy = self._worker.plan.settings[policies](breaker)
        return found

    def scopes(self, service: str) -> Scopes:
        found: Scopes = self._worker.plan.settings[scopes](service)
        return found

    def instances(self, family: str) -> Sequence[str]:
        return self._settings().instances(family)

    def keepers(self, table: Table[Any]) -> Keepers:
        members = self._worker.engine.assignment.roll.members
        others, waiting = dict[str, str](), list[str]()
        for task in ((self._row(table), number) for number in range(self._worker.plan.partitions)):
            owner = members.owner(task)
            if owner is not None and owner != self._worker.slot.instance:
                others[owner] = members.seats[owner].url
            elif owner is None or task not in self._ready():
                waiting.append(f"{task[0]}-{task[1]}")
        return Keepers(others, waiting)

    async def act(self, act: BreakerAct) -> None:
        key = act.service.encode()
        envelope = Envelope(act.act_id, act.breaker, act.at, self._settings().source)
        value, headers = BREAKER_ACTS.codec.encode(act, envelope)
        at = partition(key, self._worker.cluster.counts[BREAKER_ACTS.name])
        try:
            async with connected(self._worker.plan.access) as admin:
                await admin.send([RawOut(BREAKER_ACTS.name, at, key, value, headers)])
        except Refused as error:
            raise NotSent(str(error)) from error

    async def newest(self, topic: Topic, key: str | None, wanted: Callable[[Seen], bool], most: int) -> list[Seen]:
        counts = self._worker.cluster.counts
        return await tail.newest(self._worker.client, Log(topic, counts[topic.name]), key, wanted, most)

    def following(self, hand: Callable[[Seen], None]) -> AbstractAsyncContextManager[None]:
        counts = self._worker.cluster.counts
        logs = [Log(topic, counts[topic.name]) for topic in (CALL_OUTCOMES, BREAKER_TRANSITIONS)]
        return tail.following(self._worker.client, logs, hand)

    def read(self, table: Table[S], key: str) -> Stored[S] | Elsewhere | Restoring:
        raw_key = key.encode()
        task = self._row(table), partition(raw_key, self._worker.plan.partitions)
        owned = self._worker.engine.owned.get(task)
        if owned is None:
            return self._elsewhere(task)
        if not owned.ready:
            return Restoring()
        try:
            return Stored(owned.task.read(table.id, raw_key), owned.store.meta.now_ms)
        except Unreadable as error:
            raise self._unreadable(owned, error) from error

    def _row(self, table: Table[Any]) -> str:
        return next(row for row, sub in self._worker.subs.items() if table in sub.tables)

    def _ready(self) -> Collection[TaskId]:
        return {task for task, owned in self._worker.engine.owned.items() if owned.ready}

    def _elsewhere(self, task: TaskId) -> Elsewhere | Restoring:
        members = self._worker.engine.assignment.roll.members
        owner = members.owner(task)
        if owner == self._worker.slot.instance:
            return Restoring()
        return Elsewhere(members.seats[owner].url or None if owner else None)

    def scan(self, table: Table[S], prefix: str, after: str, limit: int, mark: int | None) -> Page[S]:
        tasks = self._of(table)
        start = bytes([table.id])
        begin, last = start + prefix.encode(), start + after.encode() if after else b""
        rows = merge(*(self._rows(owned, begin, last, mark) for owned in tasks), key=itemgetter(0))
        found = list(islice(rows, limit + 1))
        items = [(key[1:].decode(), self._unpacked(owned, table, value)) for key, value, owned in found[:limit]]
        return Page(items, len(found) > limit, max((owned.store.meta.now_ms for owned in tasks), default=0))

    def _of(self, table: Table[Any]) -> list[Owned]:
        """Also in another thread, while tasks come and go."""
        found = list(self._worker.engine.owned.values())
        return [owned for owned in found if owned.ready and table in owned.sub.tables]

    def _rows(self, owned: Owned, prefix: bytes, after: bytes, mark: int | None) -> Iterator[Row]:
        since = owned.since
        while rows := self._scanned(owned, prefix, after, since):
            yield from ((*row, owned) for row in rows if mark is None or mark_of(row[1]) == mark)
            after = rows[-1][0]

    def _scanned(self, owned: Owned, prefix: bytes, after: bytes, since: float) -> list[tuple[bytes, bytes]]:
        """Raises NotNow, also where it was restored `since` then: what came before and what comes do not fit."""
        try:
            rows = owned.store.scan(prefix, after, STEP)
        except Closed as error:
            raise NotNow(f"{owned.task.name} went to another worker at this moment: ask again later") from error
        except Unreadable as error:
            raise self._unreadable(owned, error) from error
        if (owned.ready, owned.since) != (True, since):
            raise NotNow(f"{owned.task.name} is being restored by this worker: ask again later")
        return rows

    def _unpacked(self, owned: Owned, table: Table[S], value: bytes) -> S:
        try:
            found: S = owned.task.caches[table.id].codec.unpack(value)
        except Unreadable as error:
            raise self._unreadable(owned, error) from error
        return found

    def _unreadable(self, owned: Owned, error: Unreadable) -> NotNow:
        """The engine is told; from any thread."""
        mendable = owned.mendable(error)
        self._loop.call_soon_threadsafe(self._worker.engine.mend, owned, error)
        follows = "it is being rebuilt, ask again later" if mendable else "restart the worker"
        return NotNow(f"the store of {owned.task.name} cannot be read: {error}; {follows}")

    def tally(self, table: Table[Any]) -> Mapping[str, int]:
        counts = dict.fromkeys(table.marks, 0)
        for owned in self._of(table):
            for number, name in enumerate(table.marks):
                counts[name] += owned.store.meta.marks.get(f"{table.id}:{number}", 0)
        return counts
