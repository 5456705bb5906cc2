"""Where a process spends its CPU, by thread and file: stacks are looked at each millisecond of CPU.

A sample counts the CPU time that its thread has used since the last one, so a waiting thread counts nothing.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import msgspec

EVERY_S = 0.001
PARTS = {"/app/": "app/", "/tests/bench/": "tests/bench/", "/site-packages/": ""}
NAMES = {"MainThread": "engine", "Thread-1": "consumer"}
LOOPS = ("tests/bench/product.py", "mode/threads.py")  # nothing of theirs is inside but the event loop

_spent: dict[str, dict[str, float]] = {}
_last: dict[int, float] = {}
_begun: list[float] = []


class Where(msgspec.Struct):
    """Seconds of CPU by thread and file."""

    threads: dict[str, dict[str, float]]
    all_s: float  # of the process: what is not in `threads` are threads that are not Python's


def begin() -> None:
    """What was used until now, importing, is left out."""
    _begun.append(time.process_time())
    for thread in threading.enumerate():
        if thread.ident is not None:
            _last[thread.ident] = used(thread.ident)
    signal.signal(signal.SIGPROF, _look)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)


def end(file: Path) -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    file.write_bytes(msgspec.json.encode(Where(_spent, time.process_time() - _begun[0])))


def _look(_number: int, frame: FrameType | None) -> None:
    frames = sys._current_frames() | {threading.get_ident(): frame}
    for thread in threading.enumerate():
        if thread.ident is None or thread.ident not in frames:
            continue
        now = used(thread.ident)
        spent, _last[thread.ident] = now - _last.get(thread.ident, 0.0), now
        if spent > 0:
            name = NAMES.get(thread.name, "pool")
            files, file = _spent.setdefault(name, {}), _file(frames[thread.ident])
            files[file] = files.get(file, 0.0) + spent


def _file(frame: FrameType | None) -> str:
    """The innermost frame of the product, of a row, or of a package: the standard library counts for who calls it."""
    while frame is not None:
        path = frame.f_code.co_filename
        for part, short in PARTS.items():
            if part in path:
                file = short + path.split(part, 1)[1]
                return "asyncio" if file in LOOPS else file
        frame = frame.f_back
    return "asyncio"


def used(thread: int) -> float:
    return time.clock_gettime(time.pthread_getcpuclockid(thread))
