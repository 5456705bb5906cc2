"""The door of a group that somebody may hold alone, to settle positions by hand (S4): a worker waits before it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import NamedTuple

from app.telemetry.logs import log

ALONE = "iopt-offsets"  # the protocol of who settles positions: workers do not speak it
STABLE = "Stable"
LONGEST_S, LOOK_S = 60.0, 0.2


class Standing(NamedTuple):
    """Of a group, as its coordinator describes it: `protocol` is told of a stable one alone."""

    state: str
    protocol: str


class Door:
    """`closing` is done once nobody wants to come in any more."""

    def __init__(self, group: str, look: Callable[[], Awaitable[Standing]], closing: asyncio.Future[None]) -> None:
        self._group, self._look, self._closing = group, look, closing
        self._since: float | None = None
        self._told = False

    def entered(self) -> None:
        self._since, self._told = None, False

    async def opens(self) -> bool:
        """Whether to join again, once the group may be free; False where others are in it, or it takes too long."""
        if self._since is None:
            self._since = monotonic()
        while monotonic() - self._since <= LONGEST_S:
            found = await self._look()
            if found.state == STABLE and found.protocol != ALONE:
                return False
            if found.state == STABLE:
                self._tell()
            await asyncio.wait([self._closing], timeout=LOOK_S)
            if found.state != STABLE or self._closing.done():
                return True
        return False

    def _tell(self) -> None:
        if not self._told:
            why = "positions are being settled by hand (iopt offsets)"
            log.warning("group_held", group=self._group, why=why, longest_s=LONGEST_S)
        self._told = True
