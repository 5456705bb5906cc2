"""What a child of this process makes of what it inherits: a real fork, and a real pipe for the answer."""

from __future__ import annotations

import os
import select
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

WITHIN_S = 20.0


class Lock(Protocol):
    def acquire(self) -> bool: ...

    def release(self) -> None: ...


def in_child(fn: Callable[[], Any]) -> Any:
    """What `fn` returns there, as JSON has it. AssertionError where it raises, or does not end in time."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _answer(fn, writer)
    os.close(writer)
    try:
        ended, _, _ = select.select([reader], [], [], WITHIN_S)
        told = os.read(reader, 1 << 16) if ended else b""
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert told, "the child did not end"
    error, result = msgspec.json.decode(told)
    assert not error, error
    return result


def _answer(fn: Callable[[], Any], writer: int) -> None:
    try:
        told = msgspec.json.encode((None, fn()))
    except BaseException:  # noqa: BLE001  # told to the parent
        told = msgspec.json.encode((traceback.format_exc(), None))
    os.write(writer, told)
    os._exit(0)


@contextmanager
def held_by_another_thread(lock: Lock) -> Iterator[None]:
    has_it, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        lock.acquire()
        has_it.set()
        may_go.wait()
        lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    has_it.wait()
    try:
        yield
    finally:
        may_go.set()
        thread.join()
