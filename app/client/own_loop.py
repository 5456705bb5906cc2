"""An event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from selectors import DefaultSelector
from typing import Any, TypeVar

T = TypeVar("T")


class OwnLoop:
    """Begins with its first use, and in a child after a fork once more. `main` runs in it as long as it does."""

    def __init__(self, name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name, self._main = name, main
        self._parents: list[object] = []
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._selector = DefaultSelector()
        self._loop: asyncio.AbstractEventLoop | None = None

    def forked(self, *users: object) -> None:
        """In the child: lets go of the parent's sockets. Closed as usual they would be lost to the parent's loop, so
        the loop and its `users` are kept for good, on files that are nothing.
        """
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in [key.fd for key in self._selector.get_map().values()]:
            os.dup2(nothing, fd, inheritable=False)
        if (selecting := getattr(self._selector, "fileno", None)) is not None:
            os.dup2(nothing, selecting(), inheritable=False)
        os.close(nothing)
        self._parents += [self._loop, self._selector, *users]
        self._begin()

    def soon(self, fn: Callable[[], object]) -> None:
        self._running().call_soon_threadsafe(fn)

    def wait(self, answer: Coroutine[Any, Any, T], within_s: float) -> T:
        """For another thread. Raises TimeoutError, and what is raised."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(answer, self._running())
        try:
            return future.result(within_s)
        finally:
            future.cancel()

    @property
    def begun(self) -> bool:
        return self._loop is not None

    def stop(self) -> None:
        """For good: what is still at work is cancelled."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.SelectorEventLoop(self._selector)
                threading.Thread(target=self._run, args=(self._loop,), name=self._name, daemon=True).start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        main = loop.create_task(self._main())  # noqa: F841  # a loop keeps no task alive
        loop.run_forever()
        for task in (left := asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
