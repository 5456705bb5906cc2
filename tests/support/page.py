"""Markdown pages that a command writes: tables, and the machine that the figures are of."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path


def table(title: str, heads: Iterable[str], lines: Iterable[str]) -> str:
    named = tuple(heads)
    return "\n".join([f"## {title}", "", row(*named), row(*("---" for _ in named)), *lines, ""])


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
