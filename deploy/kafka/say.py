"""What a person at the terminal sees while something takes longer than a second."""

from __future__ import annotations

import sys

LINES = 5  # without a terminal


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class Progress:
    """`what: 3/46 name`, on one line of a terminal; elsewhere a few lines in all."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done = what, total, 0
        self.live = sys.stderr.isatty()

    def step(self, name: str) -> None:
        self.done += 1
        line = f"{self.what}: {self.done}/{self.total} {name}"
        if self.live:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        elif self.done % max(1, self.total // LINES) == 0:
            say(line)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_ending: object) -> None:
        if self.live:
            sys.stderr.write("\n")
