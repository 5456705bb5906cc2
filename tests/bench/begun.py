"""What a contender in Python tells the harness on its standard output. Needs nothing but the standard library."""

from __future__ import annotations

import os
import time

_told: list[bool] = []


def begun() -> None:
    """At the first record, and nothing more."""
    if not _told:
        _told.append(True)
        tell("begun")


def tell(what: str, *more: object) -> None:
    """Past sys.stdout, which Faust takes for its log."""
    words = [what, f"{time.time() * 1_000:.0f}", *map(str, more)]
    os.write(1, (" ".join(words) + "\n").encode())
