"""The task's clock: the wall clock at start, and monotonic from there on. A jump of the wall fires nothing (C1)."""

from __future__ import annotations

import time

JUMP_MS = 5_000


class Clock:
    def __init__(self) -> None:
        self._wall_ms, self._monotonic = int(time.time() * 1000), time.monotonic()
        self._drift_ms = 0

    def now_ms(self) -> int:
        return self._wall_ms + int((time.monotonic() - self._monotonic) * 1000)

    def jumped_ms(self) -> int:
        """How far the wall clock has jumped since the last call, 0 for less than five seconds."""
        drift = int(time.time() * 1000) - self.now_ms()
        jump, self._drift_ms = drift - self._drift_ms, drift
        return jump if abs(jump) > JUMP_MS else 0
