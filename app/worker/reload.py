"""Settings read anew while a worker runs: what may change then does so at once, or nothing does."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from app.config import Counts, Settings, SettingsRefused
from app.config.changes import news
from app.engine.readings import Complete
from app.engine.service import Worker
from app.telemetry.logs import log
from app.worker.plan import renewable

Take = Callable[[Settings], None]


class Reload:
    """`settings` are those that count."""

    def __init__(self, settings: Settings, read: Callable[[], Settings]) -> None:
        self.settings = settings
        self._read, self._asked = read, asyncio.Event()

    def ask(self) -> None:
        self._asked.set()

    async def follow(self, take: Take) -> None:
        """Each time that somebody asked, until cancelled. Whoever asks meanwhile is served by the next reading."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self.once(take)

    async def once(self, take: Take) -> None:
        try:
            newer = await asyncio.to_thread(self._read)
        except SettingsRefused as refused:
            for problem in refused.problems:
                log.error("setting_refused", problem=str(problem))
            log.error("settings_kept", problems=len(refused.problems))
        else:
            self._renew(newer, take)

    def _renew(self, newer: Settings, take: Take) -> None:
        old, self.settings = self.settings, self.settings.renewed(newer)
        take(self.settings)
        changes = old.changes(newer)
        for change in changes:
            say = log.warning if change.counts is Counts.RESTARTED else log.info
            say("setting_changed", **change._asdict())
        for notice in news(old.notices, newer.notices):
            log.warning("setting", notice=notice)
        found = Counter(change.counts for change in changes)
        log.info("settings_reloaded", changed=found[Counts.NOW], after_a_restart=found[Counts.RESTARTED])


def settle(worker: Worker, settings: Settings) -> None:
    """Decide by these from the next record on: one is decided in one go, and this is never called in the middle."""
    looks = renewable(settings)
    worker.plan = replace(worker.plan, settings={**worker.plan.settings, **looks})
    for view, look in looks.items():
        reading = worker.engine.runtime.readings[view]
        assert isinstance(reading, Complete)
        reading.look = look
