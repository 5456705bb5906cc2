"""What HTTP asks of a worker, answered from committed states of its own tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import merge
from itertools import islice
from typing import Any, TypeVar

from app.config import Settings
from app.domain.breaker import Policy
from app.engine.group.owned import Owned
from app.engine.group.placement import TaskId
from app.engine.health.pulse import Pulse
from app.engine.processor import Table
from app.engine.service import Worker
from app.engine.state.stored import mark_of
from app.web.service import Component, Elsewhere, Health, Page, Restoring, Status, Stored
from app.wire.partition import partition

S = TypeVar("S")
STEP = 500  # rows read at a time


class Answers:
    """`app.web.service.Service`, of one worker."""

    def __init__(self, worker: Worker, settings: Settings) -> None:
        self._worker, self._settings = worker, settings
        self._pulse: Pulse = worker.pulse

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
                    Status.DOWN if broker else Status.UP, {"bootstrapServers": self._settings.bootstrap}
                ),
                "tasks": Component(Status.DOWN if dead else Status.UP, noted),
            },
            Component(Status.DOWN if dead else Status.UP, {"reasons": dead} if dead else {}),
            Component(Status.OUT_OF_SERVICE if unready else Status.UP, {"reasons": unready} if unready else {}),
        )

    def info(self) -> Mapping[str, Any]:
        worker = self._worker
        return {
            "app": {"name": self._settings.application, "version": worker.plan.version},
            "worker": {
                "slot": worker.slot.number,
                "instance": worker.slot.instance,
                "group": worker.plan.group,
                "url": worker.url,
            },
            "cluster": {"id": worker.cluster.id},
        }

    def policy(self, service: str) -> Policy:
        return self._settings.breaker_policy(service)

    def read(self, table: Table[S], key: str) -> Stored[S] | Elsewhere | Restoring:
        raw_key = key.encode()
        row = next(row for row, sub in self._worker.subs.items() if table in sub.tables)
        task = row, partition(raw_key, self._worker.plan.partitions)
        owned = self._worker.engine.owned.get(task)
        if owned is None:
            return self._elsewhere(task)
        if not owned.ready:
            return Restoring()
        return Stored(owned.task.read(table.id, raw_key), owned.store.meta.now_ms)

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
        rows = merge(*(self._rows(owned, begin, last, mark) for owned in tasks))
        found = list(islice(rows, limit + 1))
        codec = tasks[0].task.caches[table.id].codec if tasks else None
        items = [(key[1:].decode(), codec.unpack(value)) for key, value in found[:limit]] if codec else []
        return Page(items, len(found) > limit, max((owned.store.meta.now_ms for owned in tasks), default=0))

    def _of(self, table: Table[Any]) -> list[Owned]:
        return [owned for owned in self._worker.engine.owned.values() if owned.ready and table in owned.sub.tables]

    def _rows(self, owned: Owned, prefix: bytes, after: bytes, mark: int | None) -> Iterator[tuple[bytes, bytes]]:
        while rows := owned.store.scan(prefix, after, STEP):
            yield from (row for row in rows if mark is None or mark_of(row[1]) == mark)
            after = rows[-1][0]

    def tally(self, table: Table[Any]) -> Mapping[str, int]:
        counts = dict.fromkeys(table.marks, 0)
        for owned in self._of(table):
            for number, name in enumerate(table.marks):
                counts[name] += owned.store.meta.marks.get(f"{table.id}:{number}", 0)
        return counts
