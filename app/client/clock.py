"""Time and dice, in one place that a test can take."""

from __future__ import annotations

import asyncio
import random
import threading
import time


class Clock:
    """Give another one to a part, and it neither waits nor throws dice of its own."""

    def now_ns(self) -> int:
        """Monotonic: only differences mean something."""
        return time.monotonic_ns()

    def wall_ms(self) -> int:
        """Since the epoch."""
        return time.time_ns() // 1_000_000

    def sleep(self, ns: int) -> None:
        time.sleep(ns / 1e9)

    async def asleep(self, ns: int) -> None:
        await asyncio.sleep(ns / 1e9)

    def wait(self, event: threading.Event, ns: int | None) -> bool:
        """Whether it was set in time; None: for ever."""
        return event.wait(None if ns is None else ns / 1e9)

    def random(self) -> float:
        """At least 0 and below 1."""
        return random.random()  # noqa: S311  # spreads retries, keeps no secret


CLOCK = Clock()
