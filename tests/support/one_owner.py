"""A worker's tasks saga-0 and breaker-0 over real stores, without the engine that would work on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from aiokafka.structs import TopicPartition

from app.config import load
from app.engine.driver import EPOCH_MS
from app.engine.group.owned import Owned
from app.engine.processor import Table
from app.engine.readings import Complete
from app.engine.state.rocks import Identity, RocksStore
from app.engine.state.store import Meta, Write
from app.engine.state.stored import Unreadable
from app.engine.tasks.lane import Runtime
from app.engine.tasks.task import Task
from app.engine.topology import build
from app.worker.answers import Answers
from app.worker.plan import plan_of


class OneOwner:
    """What it is told to mend is kept in `told`."""

    def __init__(self, directory: Path) -> None:
        self.settings = load(None, {})
        self.plan = replace(plan_of(self.settings, []), partitions=1)
        self.subs = build(self.plan.processors, self.plan.named)
        self.slot = SimpleNamespace(instance="me")
        self.pulse = None
        self.told: list[tuple[Owned, Unreadable]] = []
        members = SimpleNamespace(owner=lambda _: "me", seats={})
        self.engine = SimpleNamespace(
            owned={("saga", 0): self._owned(directory, "saga"), ("breaker", 0): self._owned(directory, "breaker")},
            mend=lambda owned, error: self.told.append((owned, error)),
            clock=SimpleNamespace(now_ms=lambda: EPOCH_MS),
            assignment=SimpleNamespace(roll=SimpleNamespace(members=members)),
        )

    def _owned(self, directory: Path, row: str) -> Owned:
        sub = self.subs[row]
        readings = {view: Complete[Any](view.name, lambda _: None) for view in sub.views}
        runtime = Runtime({f"iopt.{row}.changelog": 1}, print, readings, print, lambda: EPOCH_MS)
        store = RocksStore(directory / f"{row}-0", Identity("c", "t"), oldest_ms=0, clock_ms=EPOCH_MS)
        owned = Owned(Task(sub, 0, store, runtime, 1), store, [TopicPartition(next(iter(sub.readers)), 0)], 1.0)
        owned.arrived()
        return owned

    def owned(self, row: str) -> Owned:
        found: Owned = self.engine.owned[row, 0]
        return found

    def keep(self, row: str, table: Table[Any], states: Mapping[str, Any]) -> None:
        owned = self.owned(row)
        codec = owned.task.caches[table.id].codec
        changes = [(bytes([table.id]) + key.encode(), codec.pack(state)) for key, state in states.items()]
        owned.store.write(Write(changes, [], [], Meta(now_ms=EPOCH_MS)))
        owned.store.flush()

    def answers(self) -> Answers:
        return Answers(cast(Any, self), lambda: self.settings)

    def close(self) -> None:
        for owned in self.engine.owned.values():
            owned.store.close()


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[OneOwner]:
    worker = OneOwner(directory)
    yield worker
    worker.close()
