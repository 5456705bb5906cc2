"""Time limits of tasks, at a third of the cost of asyncio.timeout: equal limits end in the order in which they began,
so one timer watches over all of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any

FEW = 64


class Deadline:
    """Cancels the task that began it, unless it has ended before."""

    __slots__ = ("_cancelling", "_passed", "at_s", "task")

    def __init__(self, task: asyncio.Task[Any], at_s: float) -> None:
        self.task: asyncio.Task[Any] | None = task
        self.at_s = at_s
        self._cancelling = task.cancelling()
        self._passed = False

    def end(self) -> bool:
        """Whether the limit has passed, and nobody else cancels the task: the cancellation is then taken back."""
        task, self.task = self.task, None
        if not self._passed or task is None:
            return False
        return task.uncancel() <= self._cancelling

    def fall(self) -> None:
        self._passed = True
        if self.task is not None:
            self.task.cancel()


class Deadlines:
    """Of one event loop."""

    def __init__(self, limit_s: float) -> None:
        self.loop = asyncio.get_running_loop()
        self._limit_s = limit_s
        self._open: deque[Deadline] = deque()  # soonest first; those that have ended until they are swept out
        self._most = FEW
        self._watched = False

    def begin(self) -> Deadline:
        task = asyncio.current_task(self.loop)
        assert task, "within a task"
        deadline = Deadline(task, self.loop.time() + self._limit_s)
        queue = self._open
        if len(queue) >= self._most:
            queue = self._sweep()
        queue.append(deadline)
        if not self._watched:
            self._watched = True
            self.loop.call_at(deadline.at_s, self._look)
        return deadline

    def _sweep(self) -> deque[Deadline]:
        """As many may begin until the next one as this one leaves: no deadline costs more than two looks."""
        self._open = deque(deadline for deadline in self._open if deadline.task is not None)
        self._most = max(FEW, 2 * len(self._open))
        return self._open

    def _look(self) -> None:
        queue, now_s = self._open, self.loop.time()
        while queue and (queue[0].task is None or queue[0].at_s <= now_s):
            queue.popleft().fall()
        self._watched = bool(queue)
        if queue:
            self.loop.call_at(queue[0].at_s, self._look)


class ByThread(threading.local):
    """Of the event loop that runs in this thread."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._newest: Deadlines | None = None

    def here(self) -> Deadlines:
        if self._newest is None or self._newest.loop is not asyncio.get_running_loop():
            self._newest = Deadlines(self._limit_s)
        return self._newest
