"""Whether the group knows this worker, and the topics, as they are; if not, it joins again (T2).

A static member that restarts within its session is given its old assignment back: nobody hears of its new
address or topology. And after the leader restarted so, nobody watches whether topics grow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from app.engine.group.assignor import TaskAssignor, View
from app.telemetry.logs import log

LOOK_S = 1.0
TRIES, AGAIN_S = 3, 60.0


class RollCall:
    def __init__(self, assignor: TaskAssignor, rejoin: Callable[[], None]) -> None:
        self._assignor, self._rejoin = assignor, rejoin
        self._tries, self._asked_at, self._joined = 0, 0.0, 0
        self.wrong = ""  # what the group does not know, though it was told three times

    @property
    def members(self) -> View:
        """As the group was told last."""
        return self._assignor.view

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """After each assignment; the third in vain is the last for a minute."""
        found = self._difference() if self._assignor.joined else ""
        if not found:
            self._tries, self.wrong = 0, ""
            return
        answered, spent = self._assignor.joined > self._joined, self._tries >= TRIES
        if answered and spent:
            self.wrong = found
        if (answered and not spent) or monotonic() - self._asked_at >= AGAIN_S:
            self._ask(found)

    def _ask(self, why: str) -> None:
        self._tries, self._asked_at, self._joined = self._tries + 1, monotonic(), self._assignor.joined
        log.info("rejoining", why=why, tries=self._tries)
        self._assignor.nonce += 1
        self._rejoin()

    def _difference(self) -> str:
        """Other counts than ours may be newer; only larger ones of ours are news to the group."""
        assignor = self._assignor
        if not assignor.known:
            return "the group knows another address or topology of this worker"
        counts = assignor.view.counts
        grown = [
            f"{topic} has {count} partitions" for topic, count in assignor.counts().items() if count > counts[topic]
        ]
        return f"the group knows fewer: {', '.join(grown)}" if grown else ""
