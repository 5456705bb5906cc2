"""Progress, past the tables on standard output."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
