"""Going back to what is committed, when something failed that is not pinned on one record (R2, R3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiokafka.errors import IllegalStateError

from app.engine.broker.codes import UnpinnedRecord
from app.engine.fatal import fatal
from app.engine.group.assignment import Assignment
from app.engine.group.owned import Owned
from app.engine.state.stored import Unreadable
from app.engine.tasks.task import Rewind
from app.engine.transactions.committer import Committer
from app.telemetry import metrics
from app.telemetry.logs import log


class Rewinding:
    """One at a time; what comes while it goes on is part of what is dropped."""

    def __init__(
        self,
        assignment: Assignment,
        committer: Committer,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._assignment, self._committer = assignment, committer
        self._fail = fail
        self._going: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._over.set()

    @property
    def going(self) -> bool:
        return not self._over.is_set()

    async def over(self) -> None:
        await self._over.wait()

    def rewind(self, rewind: Rewind) -> None:
        """Raises it when a store does not show what is committed while tasks go back: to what it shows, they would."""
        if isinstance(rewind.__cause__, Unreadable):
            if self.going:
                raise rewind
            task = rewind.task
            self.rebuild(self._assignment.owned[task.sub.row, task.partition], rewind.__cause__)
            return
        self._start(lambda: self._rewind(rewind))

    def rebuild(self, owned: Owned, error: Unreadable) -> None:
        """Once, from the changelog; raises the error when that has not helped, or cannot (R3)."""
        if not owned.mendable(error):
            raise error
        log.error("store_rebuilt", task=owned.task.name, error=str(error))
        owned.rebuilt = True
        self._start(lambda: self._rebuild(owned))

    def _start(self, back: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not self.going:
            self._assignment.epoch += 1
            self._committer.held = True
            self._over.clear()
            self._going = asyncio.ensure_future(self._until_over(back()))

    async def _until_over(self, going_back: Coroutine[Any, Any, None]) -> None:
        try:
            with fatal(self._fail):
                await going_back
        finally:
            self._committer.held = False
            self._over.set()
            self._assignment.wanted.set()

    async def _rebuild(self, owned: Owned) -> None:
        async with self._assignment.changing:
            await self._committer.settled()
            self._committer.forget()
            for each in self._assignment.owned.values():
                each.unready()
                each.task.forget()
            owned.store.wipe()
            await self._assignment.retake()

    async def _rewind(self, rewind: Rewind) -> None:
        """Nothing of it was sent: a transaction is sent when it is whole. Every task reads again from its positions."""
        log.warning("rewind", task=rewind.task.name, reason=rewind.reason, error=repr(rewind.__cause__))
        metrics.REWINDS.add((rewind.reason,))
        try:
            async with self._assignment.changing:
                await self._committer.settled()
                self._committer.forget()
                for owned in self._assignment.ready:
                    owned.undeliver()
                    self._back(owned, rewind)
                await self._assignment.seek(self._assignment.ready)
        except IllegalStateError:
            log.info("rewind_overtaken_by_rebalance")

    def _back(self, owned: Owned, rewind: Rewind) -> None:
        if owned.task is rewind.task or self._committer.one_by_one:
            owned.task.rewind()
        else:
            owned.task.forget()

    async def find_culprit(self, refused: UnpinnedRecord) -> None:
        """The broker takes no batch that holds a certain record: one transaction a record until it is found (R2)."""
        await self._committer.abort()
        metrics.ABORTS.add(())
        sent = self._committer.sent
        if self._committer.one_by_one and len(sent) == 1 and sent[0].records == 1:
            sent[0].task.condemn(sent[0], str(refused))
        self._committer.one_by_one = True
        rewind = Rewind(sent[0].task, "refused-by-broker")
        rewind.__cause__ = refused
        self.rewind(rewind)
