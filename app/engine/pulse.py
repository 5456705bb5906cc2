"""Whether the worker makes progress: measured once a second, told to HTTP and metrics (H1)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from app.engine.codes import UNREACHABLE
from app.engine.engine import Engine
from app.engine.owned import Owned
from app.engine.protocol import DescribeProducers
from app.engine.sweep import sweep
from app.telemetry import metrics

BEAT_S = 1.0
SWEEP_S = 3_600.0
RESTORING_S, LOOP_S, JOINING_S, STUCK_S, HELD_S, BROKER_S = 30.0, 30.0, 60.0, 60.0, 60.0, 5.0


class Finding(NamedTuple):
    """Something to be named, and whether it speaks against liveness or readiness. Holds do neither."""

    what: str
    dead: bool = False
    unready: bool = False


class Pulse:
    def __init__(self, engine: Engine, client: AIOKafkaClient, stores: Path) -> None:
        self.engine, self._client, self._stores = engine, client, stores
        self._sweep_at = monotonic() + SWEEP_S
        self._open_since: dict[TopicPartition, float] = {}
        self._producers: dict[TopicPartition, int | None] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(BEAT_S)
            self._measure()
            self._sweep()
            for at, since in list(self._open_since.items()):
                if monotonic() - since > HELD_S and at not in self._producers:
                    self._producers[at] = await self._holder(at)

    def _sweep(self) -> None:
        if monotonic() > self._sweep_at:
            self._sweep_at = monotonic() + SWEEP_S
            sweep(self._stores, [owned.task.name for owned in self.engine.owned.values()])

    def _measure(self) -> None:
        states: dict[tuple[str, ...], float] = {}
        lags: dict[tuple[str, ...], float] = {}
        for owned in self.engine.owned.values():
            states[owned.state,] = states.get((owned.state,), 0) + 1
            for at, lag in self.lag(owned).items():
                lags[at.topic, str(at.partition)] = lag
        metrics.TASKS.replace(states)
        metrics.LAG.replace(lags)
        metrics.BROKER_UP.set((), 0 if self._broker_trouble() else 1)
        self._note_open_transactions()

    def _seen(self, at: TopicPartition) -> Any:
        found = self.engine.sight(at)
        return found[1] if found else None

    def lag(self, owned: Owned) -> dict[TopicPartition, int]:
        """Against the stable offset: what an open transaction hides is not ours to read yet."""
        found = {}
        for at in owned.sources:
            seen, position = self._seen(at), owned.task.positions.get(at.topic)
            if seen is not None and position is not None:
                found[at] = max(0, seen.stable_offset - max(position, seen.offset if seen.empty else 0))
        return found

    def _note_open_transactions(self) -> None:
        for owned in self.engine.owned.values():
            for at in owned.sources:
                seen = self._seen(at)
                if seen is not None and seen.high_watermark > seen.stable_offset:
                    self._open_since.setdefault(at, monotonic())
                else:
                    self._open_since.pop(at, None)
                    self._producers.pop(at, None)

    async def _holder(self, at: TopicPartition) -> int | None:
        """The producer id of the oldest open transaction on the partition."""
        leader = self._client.cluster.leader_for_partition(at)
        try:
            answer = await self._client.send(leader, DescribeProducers([(at.topic, [at.partition], {})], {}))
        except UNREACHABLE:
            return None
        producers = [p for _, partitions, _ in answer.topics for found in partitions for p in found[3] or ()]
        opened = sorted((p[5], p[0]) for p in producers if p[5] >= 0)
        return opened[0][1] if opened else None

    def _broker_trouble(self) -> str:
        trouble = self.engine.transactions.trouble
        return trouble[1] if trouble and monotonic() - trouble[0] > BROKER_S else ""

    def findings(self) -> list[Finding]:
        now, engine = monotonic(), self.engine
        found = [*self._whole_worker(now)]
        for owned in engine.owned.values():
            found += self._of_task(owned, now)
        for at, since in self._open_since.items():
            if now - since > HELD_S:
                found.append(
                    Finding(f"{at.topic}/{at.partition} held: open transaction of producer {self._producers.get(at)}")
                )
        return found

    def _whole_worker(self, now: float) -> list[Finding]:
        engine, found = self.engine, []
        if now - engine.ticked_at > LOOP_S:
            found.append(Finding(f"the loop has not run for {now - engine.ticked_at:.0f} s", dead=True, unready=True))
        if (since := engine.assignment.joining_since) is not None:
            joining = now - since
            found.append(Finding(f"joining the group for {joining:.0f} s", dead=joining > JOINING_S, unready=True))
        if trouble := self._broker_trouble():
            found.append(Finding(f"broker away: {trouble}", unready=True))
        return found

    def _of_task(self, owned: Owned, now: float) -> list[Finding]:
        name, waiting = owned.task.name, owned.task.waiting
        if not owned.ready:
            restoring = now - owned.since
            what = f"{name} restoring for {restoring:.0f} s, {owned.left} offsets left"
            return [Finding(what, unready=restoring > RESTORING_S)] if restoring > 1 else []
        if waiting is not None:
            return [Finding(f"{name} held: waits for {waiting.key} of {waiting.view}")]
        if owned.timers.held is not None:
            at = owned.timers.held.at
            return [Finding(f"{name} timers held: {at.topic}/{at.partition} may still hide records")]
        behind = sum(self.lag(owned).values())
        if behind and now - max(owned.moved_at, owned.since) > STUCK_S and not self._broker_trouble():
            return [
                Finding(
                    f"{name} has not moved for {now - owned.moved_at:.0f} s with {behind} records to read", dead=True
                )
            ]
        return []
