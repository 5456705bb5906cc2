"""A semaphore for threads and tasks at once, whose waiters come in turn."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque

from ..domain import bulkhead
from ..domain.bulkhead import Bulkhead
from . import forks
from .clock import Clock


class Waiter(ABC):
    """`granted` is written under the lock of its Permits: a grant that crosses with a time-out counts."""

    granted = False

    @abstractmethod
    def wake(self) -> bool:
        """False: nobody can be waiting there any more."""


class ThreadWaiter(Waiter):
    def __init__(self) -> None:
        self.event = threading.Event()

    def wake(self) -> bool:
        self.event.set()
        return True


class TaskWaiter(Waiter):
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()

    def wake(self) -> bool:
        try:
            self.loop.call_soon_threadsafe(self._set)
        except RuntimeError:  # the loop was closed over its head
            return False
        return True

    def _set(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Permits:
    """Fair: a permit that comes back goes to who has waited longest, and is never free while somebody waits."""

    def __init__(self, limit: int, clock: Clock) -> None:
        self._state = Bulkhead(limit, limit)
        self._clock = clock
        self._parents = 0  # that may come back here, and are none of this process's
        self.forked()
        forks.keep(self)

    def forked(self) -> None:
        """Who holds permits, or waits for one, does so in the parent; the thread that forked gives back its in both."""
        limit = self._state.limit
        self._parents += max(0, limit - self._state.available)
        self._state = Bulkhead(limit, limit)
        self._waiters: deque[Waiter] = deque()
        self._lock = threading.Lock()

    @property
    def state(self) -> Bulkhead:
        return self._state

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    def take(self) -> bool:
        """Without waiting."""
        with self._lock:
            taken = bulkhead.acquire(self._state)
            if taken is None:
                return False
            self._state = taken
            return True

    def wait(self, ns: int) -> bool:
        waiter = ThreadWaiter()
        if self._queue(waiter):
            return True
        try:
            self._clock.wait(waiter.event, ns)
        except BaseException:
            self._give_back(waiter)
            raise
        return self._leave(waiter)

    async def wait_async(self, ns: int) -> bool:
        waiter = TaskWaiter()
        if self._queue(waiter):
            return True
        try:
            async with asyncio.timeout(ns / 1e9):
                await waiter.future
        except TimeoutError:
            return self._leave(waiter)
        except asyncio.CancelledError:
            self._give_back(waiter)
            raise
        return True

    def give(self) -> None:
        with self._lock:
            if self._parents and self._state.available >= self._state.limit:
                self._parents -= 1
                return
            self._state = bulkhead.release(self._state)
            if self._waiters:
                self._hand_on()

    def resize(self, limit: int) -> None:
        with self._lock:
            self._state = bulkhead.resize(self._state, limit)
            self._hand_on()

    def _queue(self, waiter: Waiter) -> bool:
        """Whether it has a permit at once: one may have come back since it was asked for."""
        with self._lock:
            self._waiters.append(waiter)
            self._hand_on()
            return waiter.granted

    def _leave(self, waiter: Waiter) -> bool:
        with self._lock:
            if not waiter.granted:
                self._waiters.remove(waiter)
            return waiter.granted

    def _give_back(self, waiter: Waiter) -> None:
        """Nobody waits there any more."""
        if self._leave(waiter):
            self.give()

    def _hand_on(self) -> None:
        while self._waiters and (taken := bulkhead.acquire(self._state)) is not None:
            waiter = self._waiters.popleft()
            if waiter.wake():
                waiter.granted = True
                self._state = taken
