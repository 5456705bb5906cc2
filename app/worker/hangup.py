"""SIGHUP, which has two meanings: settings have changed, and the terminal is gone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

SIGHUP = signal.SIGHUP


def hear(ask: Callable[[], None]) -> None:
    """Of settings, in the running loop; also what came while it was blocked.

    Whose terminal is closed ends, as any other program in it, but under nohup.
    """
    loop, ends = asyncio.get_running_loop(), signal.getsignal(SIGHUP) is signal.SIG_DFL and _has_terminal()

    def heard() -> None:
        if ends and not _has_terminal():
            loop.remove_signal_handler(SIGHUP)
            signal.raise_signal(SIGHUP)
        ask()

    loop.add_signal_handler(SIGHUP, heard)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {SIGHUP})


def _has_terminal() -> bool:
    """A terminal that hung up is none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
