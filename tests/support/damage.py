"""A file that is not what was written."""

from __future__ import annotations

from pathlib import Path


def flip(file: Path, at: int, bit: int = 0) -> None:
    """In place: who has it open meets it, too."""
    with file.open("r+b") as content:
        content.seek(at)
        (byte,) = content.read(1)
        content.seek(at)
        content.write(bytes([byte ^ 1 << bit]))
