"""A restarting loop around one process: exit code 4 and death by a signal are restarted, all else is an end.

A worker that stopped for a definite error, or was killed, comes back to what was committed. One
that was refused (1, 2) or that would fight another for its instance id (3) must not.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

STOPPED_FOR_AN_ERROR = 4
PAUSE_S = 0.5
PATIENCE_S = 15.0


def restarts(code: int) -> bool:
    return code == STOPPED_FOR_AN_ERROR or code < 0


@dataclass
class Supervised:
    """One process under the loop. `deaths` are the exit codes after which it was started again; `up` while it runs."""

    command: Sequence[str]
    env: Mapping[str, str] | None = None
    log: Path | None = None
    cwd: Path | None = None
    deaths: list[int] = field(default_factory=list)
    up: asyncio.Event = field(default_factory=asyncio.Event)
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    async def run(self) -> int:
        """Its exit code, once that is one that is not restarted. Cancelled, it stops the process first."""
        try:
            while restarts(code := await self._once()):
                self.deaths.append(code)
                await asyncio.sleep(PAUSE_S)
        except asyncio.CancelledError:
            await self._stop()
            raise
        return code

    def kill(self) -> bool:
        """kill -9; False if there was nothing to kill."""
        return self._signal(signal.SIGKILL)

    async def _once(self) -> int:
        with _opened(self.log) as out:
            self._process = await asyncio.create_subprocess_exec(
                *self.command, env=self.env, cwd=self.cwd, stdout=out, stderr=out
            )
        self.up.set()
        code = await self._process.wait()
        self.up.clear()
        return code

    async def _stop(self) -> None:
        if self._process is None or not self._signal(signal.SIGTERM):
            return
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE_S)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def _signal(self, what: signal.Signals) -> bool:
        if self._process is None or self._process.returncode is not None:
            return False
        try:
            self._process.send_signal(what)
        except ProcessLookupError:
            return False
        return True


def _opened(log: Path | None) -> AbstractContextManager[IO[bytes] | None]:
    return log.open("ab") if log else nullcontext()
