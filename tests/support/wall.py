"""A wall clock that a test moves from outside: a file says by how many seconds."""

from __future__ import annotations

import time
from pathlib import Path

LOOK_S = 0.05


class Wall:
    def __init__(self, file: Path) -> None:
        self._file, self._true = file, time.time
        self._offset, self._looked = 0.0, -LOOK_S

    def time(self) -> float:
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            self._offset = float(self._file.read_text()) if self._file.exists() else 0.0
        return self._true() + self._offset


def hang_up(file: Path) -> None:
    """In this process, for whoever asks `time.time()` from now on."""
    time.time = Wall(file).time
