"""Whether the worker makes progress: measured once a second, told to HTTP and metrics (H1)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from app.engine.broker.codes import UNREACHABLE
from app.engine.broker.ends import Bounds, bounds
from app.engine.broker.holders import Holder, holder
from app.engine.engine import Engine
from app.engine.group.owned import Owned
from app.engine.health.progress import Progress
from app.engine.health.sweep import sweep
from app.engine.views import Followed
from app.telemetry import metrics
from app.telemetry.logs import log

BEAT_S = 1.0
SWEEP_S = 3_600.0
RESTORING_S, LOOP_S, JOINING_S, STUCK_S, HELD_S, BROKER_S = 30.0, 30.0, 60.0, 60.0, 60.0, 5.0


class Finding(NamedTuple):
    """Something to be named, and whether it speaks against liveness or readiness. Holds do neither."""

    what: str
    dead: bool = False
    unready: bool = False


class Pulse:
    def __init__(self, engine: Engine, client: AIOKafkaClient, stores: Path, views: Collection[Followed[Any]]) -> None:
        self.engine, self._client, self._stores, self._views = engine, client, stores, views
        self._sweep_at = monotonic() + SWEEP_S
        self._viewed_at = monotonic()
        self._bounds: dict[TopicPartition, Bounds] = {}
        self._away: tuple[float, str] | None = None  # since when the ends of our logs cannot be told, and why
        self._holders: dict[TopicPartition, Holder] = {}
        self._named: set[str] = set()
        self.progress = Progress()

    async def run(self) -> None:
        """Until cancelled. What waits for a broker does not hold up what tells that it is away."""
        await asyncio.gather(self._beat(), self._ask())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self._measure()
            self._sweep()

    def _sweep(self) -> None:
        if monotonic() > self._sweep_at:
            self._sweep_at = monotonic() + SWEEP_S
            sweep(self._stores, [owned.task.name for owned in self.engine.owned.values()])

    def _measure(self) -> None:
        now, tasks = monotonic(), list(self.engine.owned.values())
        self.progress.measure(tasks, self._bounds, self.engine.sight, now)
        if self._broker_trouble() or self.engine.assignment.joining_since is not None:
            self.progress.excuse(now)
        states: dict[tuple[str, ...], float] = {}
        for owned in tasks:
            states[owned.state,] = states.get((owned.state,), 0) + 1
        metrics.TASKS.replace(states)
        metrics.LAG.replace(
            {(at.topic, str(at.partition)): float(stand.lag) for at, stand in self.progress.stands.items()}
        )
        metrics.BROKER_UP.set((), 0 if self._broker_trouble() else 1)
        self._tell_stuck()

    def _tell_stuck(self) -> None:
        """One line in the log for each that begins to stand still: whoever restarts the worker loses its memory."""
        stuck = {finding.what.partition(" for ")[0]: finding.what for finding in self.findings() if finding.dead}
        for what in stuck.keys() - self._named:
            log.error("stuck", what=stuck[what])
        self._named = set(stuck)

    async def _ask(self) -> None:
        """The leaders, where logs end; the brokers, whose transaction it is that hides an end."""
        while True:
            await asyncio.sleep(BEAT_S)
            tasks = list(self.engine.owned.values())
            asked = [at for owned in tasks for at in (*owned.sources, *(() if owned.ready else (owned.changelog,)))]
            try:
                async with asyncio.timeout(BROKER_S):
                    self._bounds = await bounds(self._client, asked)
                    self._away = None
                    await self._name_holders()
            except (*UNREACHABLE, KafkaError) as error:
                self._away = self._away or (monotonic(), repr(error))
                self._client.force_metadata_update()

    async def _name_holders(self) -> None:
        now = monotonic()
        self.progress.note_hidden(self._bounds, now)
        hidden = self.progress.hidden(HELD_S, now)
        self._holders = {at: known for at, known in self._holders.items() if at in hidden}
        for at in hidden:
            if at not in self._holders and (found := await holder(self._client, at)):
                self._holders[at] = found

    def _broker_trouble(self) -> str:
        for trouble in (self.engine.transactions.trouble, self._away):
            if trouble and monotonic() - trouble[0] > BROKER_S:
                return trouble[1]
        return ""

    def findings(self) -> list[Finding]:
        now = monotonic()
        found = [*self._whole_worker(now)]
        for owned in self.engine.owned.values():
            found += self._of_task(owned, now)
        for at, held_s in self.progress.hidden(HELD_S, now).items():
            by = self._holders.get(at, "unknown")
            found.append(Finding(f"{at.topic}/{at.partition} held: open transaction of {by} for {held_s:.0f} s"))
        return found

    def _whole_worker(self, now: float) -> list[Finding]:
        engine, found, away = self.engine, [], self._broker_trouble()
        if unread := [view.name for view in self._views if not view.read]:
            self._viewed_at = now
            found.append(Finding(f"reading views: {', '.join(unread)}", unready=True))
        stood = now - max(engine.ticked_at, self._viewed_at)
        if stood > LOOP_S:
            found.append(Finding(f"the loop has not run for {stood:.0f} s", dead=True, unready=True))
        if (since := engine.assignment.joining_since) is not None:
            joining = now - max(since, self._viewed_at)
            dead = joining > JOINING_S and not away
            found.append(Finding(f"joining the group for {joining:.0f} s", dead=dead, unready=True))
        if engine.assignment.roll.wrong:
            found.append(Finding(engine.assignment.roll.wrong, unready=True))
        if away:
            found.append(Finding(f"broker away: {away}", unready=True))
        return found

    def _of_task(self, owned: Owned, now: float) -> list[Finding]:
        name, waiting = owned.task.name, owned.task.waiting
        if not owned.ready:
            restoring = now - owned.since
            how_far = f"{owned.restored} rows read, {owned.left} offsets left"
            what = f"{name} restoring for {restoring:.0f} s, {how_far}"
            return [Finding(what, unready=restoring > RESTORING_S)] if restoring > 1 else []
        if waiting is not None:
            return [Finding(f"{name} held: waits for {waiting.key} of {waiting.view}")]
        found = [self._stuck(owned, at, now) for at in owned.sources]
        if owned.timers.held is not None:
            at = owned.timers.held.at
            found.append(Finding(f"{name} timers held: {at.topic}/{at.partition} may still hide records"))
        return [finding for finding in found if finding is not None]

    def _stuck(self, owned: Owned, at: TopicPartition, now: float) -> Finding | None:
        stand = self.progress.stands.get(at)
        if stand is None or not stand.lag or now - stand.since <= STUCK_S:
            return None
        where = f"{at.topic}/{at.partition} of {owned.task.name} stuck for {now - stand.since:.0f} s"
        return Finding(f"{where} at {stand.reached}, {stand.lag} offsets to read: {self._why(owned, at)}", dead=True)

    def _why(self, owned: Owned, at: TopicPartition) -> str:
        """How far its newest record came."""
        trouble, chunks = self.engine.transactions.trouble, owned.chunks.get(at.topic, 0)
        processed, committed = owned.task.positions[at.topic], owned.task.committed[at.topic]
        if processed > committed:
            return f"processed up to {processed} and not committed{f', {trouble[1]}' if trouble else ''}"
        if chunks:
            return f"{chunks} chunks were fetched and are not processed"
        sight = self.engine.sight(at)
        return f"nothing is fetched, the consumer is at {sight[0] if sight else 'no position'}"
