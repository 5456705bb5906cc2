"""The results as one Markdown page, docs/faults.md."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version

from tests.faults.run import Result
from tests.support.page import cpu_model, memory_gib, row, table

PACKAGES = ("faust-streaming", "aiokafka", "rocksdict", "msgspec")

HEAD = """\
# Faults

Written by `make faults`: what is done to the engine on purpose, and what came of it. How it is checked, and how to run
one alone: [tests/faults](../tests/faults/README.md). "Equal" says, to the last record: outputs, dead letters and states
are those that the driver computes without Kafka; every local store is its changelog, row by row; the group's offsets,
the changelog's positions and what was sent agree.
"""


def page(results: Sequence[Result], load: float) -> str:
    parts = [HEAD]
    for kind in dict.fromkeys(result.schedule.kind for result in results):
        of = [line(result) for result in results if result.schedule.kind == kind]
        heads = ("schedule", "what is done", "kills", "rebalances", "records", "result", "s", "seed")
        parts.append(table(kind.capitalize(), heads, of))
    good = sum(not result.wrong for result in results)
    total = row(
        str(sum(r.kills for r in results)),
        str(sum(r.rebalances for r in results)),
        f"{sum(r.records for r in results):,}",
        f"{sum(r.seconds for r in results) / 60:.0f}",
    )
    parts.append(table("Together", ("kills", "rebalances", "records", "minutes"), [total]))
    parts.append(f"{good} of {len(results)} schedules passed.\n")
    parts.append(conditions("tests.faults", load))
    return "\n".join(parts)


def line(result: Result) -> str:
    outcome = cut(result.wrong) if result.wrong else "; ".join(filter(None, ["equal", result.remarks]))
    return row(
        f"`{result.schedule.name}`",
        result.schedule.what,
        str(result.kills),
        str(result.rebalances),
        f"{result.records:,}",
        outcome,
        f"{result.seconds:.0f}",
        str(result.seed),
    )


def cut(text: str) -> str:
    return "**failed**: " + text.splitlines()[0][:300].replace("|", "/")


def conditions(command: str, load: float) -> str:
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        f"Machine: {os.cpu_count()} cores ({cpu_model()}), {memory_gib():.0f} GiB, {platform.platform(terse=True)};",
        f"brokers, workers and harness share them; load average before the first schedule {load:.1f}.",
        f"Python {platform.python_version()}, {packages}; Kafka 4.1.1; commit {git.stdout.strip() or 'unknown'}.",
        f"Command: `{' '.join([f'python -m {command}', *sys.argv[1:]])}`.",
    ]
    return "## Conditions\n\n" + "\n".join(lines) + "\n"
