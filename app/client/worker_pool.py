"""Threads for plain functions: the part of Java's ThreadPoolExecutor that Python's has not: queue bound, keep-alive."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

from . import forks

P = ParamSpec("P")
T = TypeVar("T")

UNBOUNDED = 1 << 30


class WorkerPool:
    """First `core` threads, then the queue, then up to `most` threads, then refusal.

    Threads beyond the core end after `keep_alive_ms` without work. They are daemons: an interpreter that ends does not
    wait for them. Context variables of whoever submits are seen by the function.
    """

    def __init__(self, name: str, core: int, most: int, queue_capacity: int, keep_alive_ms: int) -> None:
        self.name, self.core, self.most = name, core, most
        self.queue_capacity = queue_capacity
        self._keep_alive_s = keep_alive_ms / 1000
        self._closed = False
        self.forked()
        forks.keep(self)

    def forked(self) -> None:
        """The threads and what they do are the parent's."""
        self._ready = threading.Condition()
        self._queue: deque[Callable[[], None]] = deque()
        self._threads = self._idle = self._born = 0

    @property
    def threads(self) -> int:
        return self._threads

    @property
    def queued(self) -> int:
        return len(self._queue)

    def submit(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T] | None:
        """None: it is full, or closed."""
        future: Future[T] = Future()
        task = partial(_run, future, copy_context().run, fn, args, kwargs)
        with self._ready:
            if self._closed or not self._placed(task):
                return None
        return future

    def close(self) -> None:
        """What is queued is still done; nothing new is taken."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def _placed(self, task: Callable[[], None]) -> bool:
        if self._threads < self.core:
            self._start(task)
        elif self._idle > len(self._queue) or len(self._queue) < self.queue_capacity:
            self._queue.append(task)
            self._ready.notify()
        elif self._threads < self.most:
            self._start(task)
        else:
            return False
        return True

    def _start(self, task: Callable[[], None]) -> None:
        """RuntimeError where the system has no thread to give."""
        self._born += 1
        threading.Thread(target=self._work, args=(task,), name=f"{self.name}-{self._born}", daemon=True).start()
        self._threads += 1

    def _work(self, first: Callable[[], None]) -> None:
        task: Callable[[], None] | None = first
        while task is not None:
            task()
            task = None  # what it holds is not kept while waiting
            task = self._next()

    def _next(self) -> Callable[[], None] | None:
        with self._ready:
            while not self._queue:
                if self._closed or not self._called():
                    self._threads -= 1
                    return None
            return self._queue.popleft()

    def _called(self) -> bool:
        """Whether there may be work; not, where a thread beyond the core has waited long enough."""
        surplus = self._threads > self.core
        self._idle += 1
        called = self._ready.wait(self._keep_alive_s if surplus else None)
        self._idle -= 1
        return called or bool(self._queue) or self._threads <= self.core


def _run(
    future: Future[Any], run: Callable[..., Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = run(fn, *args, **kwargs)
    except BaseException as error:  # noqa: BLE001  # raised where the future is asked
        future.set_exception(error)
    else:
        future.set_result(result)


WORKERS = WorkerPool("iopt-client", core=0, most=UNBOUNDED, queue_capacity=0, keep_alive_ms=60_000)
