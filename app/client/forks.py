"""What a child finds after `os.fork()`: the values of its parent, none of its threads, locks that they may have held.

What has a lock, a thread or something of the parent's own says so once, by `keep`; no call asks whether there was a
fork. In the child nothing is started before it is used: it may be about to become another program.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    def forked(self) -> None:
        """In the child, while nothing else runs there: makes its locks anew, and gives up what is the parent's."""


_kept: WeakSet[Forked] = WeakSet()


def keep(each: Forked) -> None:
    """As long as it lives."""
    _kept.add(each)


def _forked() -> None:
    for each in list(_kept):
        each.forked()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_forked)
