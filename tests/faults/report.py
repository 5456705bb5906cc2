"""The results as one Markdown page, docs/faults.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from tests.faults.run import Result
from tests.faults.schedule import Schedule
from tests.support.page import cpu_model, memory_gib, row, table

PACKAGES = ("faust-streaming", "aiokafka", "rocksdict", "msgspec")

HEAD = """\
# Faults

Written by `make faults`: what is done to the engine on purpose, and what came of it. How it is checked, and how to run
one alone, which renews its line: [tests/faults](../tests/faults/README.md). "Equal" says, to the last record: outputs,
dead letters with the records' own headers, and states are those that the driver computes without Kafka, each on its
key's partition; every local store is its changelog, row by row; the group's offsets, the changelog's positions and what
was sent agree.
"""


def page(known: Sequence[Schedule], results: Mapping[str, Result]) -> str:
    """Of each schedule its newest result."""
    parts = [HEAD]
    for kind in dict.fromkeys(schedule.kind for schedule in known):
        of = [line(schedule, results.get(schedule.name)) for schedule in known if schedule.kind == kind]
        heads = ("schedule", "what is done", "kills", "rebalances", "records", "result", "s", "seed", "commit", "load")
        parts.append(table(kind.replace("_", " ").capitalize(), heads, of))
    parts.append(together(known, [results[schedule.name] for schedule in known if schedule.name in results]))
    parts.append(conditions("load is the machine's average, over a minute, before the schedule"))
    return "\n".join(parts)


def together(known: Sequence[Schedule], of: Sequence[Result]) -> str:
    total = row(
        f"{sum(not result.wrong for result in of)} of {len(known)}",
        str(sum(result.kills for result in of)),
        str(sum(result.rebalances for result in of)),
        f"{sum(result.records for result in of):,}",
        f"{sum(result.seconds for result in of) / 60:.0f}",
    )
    return table("Together", ("passed", "kills", "rebalances", "records", "minutes"), [total])


def line(schedule: Schedule, result: Result | None) -> str:
    said = (f"`{schedule.name}`", schedule.what)
    if result is None:
        return row(*said, *("" for _ in range(3)), "not run", *("" for _ in range(4)))
    return row(
        *said,
        str(result.kills),
        str(result.rebalances),
        f"{result.records:,}",
        cut(result.wrong) if result.wrong else "; ".join(filter(None, ["equal", result.remarks])),
        f"{result.seconds:.0f}",
        str(result.seed),
        result.commit,
        f"{result.load:.1f}",
    )


def cut(text: str) -> str:
    return "**failed**: " + text.splitlines()[0][:300].replace("|", "/")


def conditions(measured: str) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        f"Machine: {os.cpu_count()} cores ({cpu_model()}), {memory_gib():.0f} GiB, {platform.platform(terse=True)};",
        f"brokers, workers and harness share them; {measured}.",
        f"Python {platform.python_version()}, {packages}; Kafka 4.1.1 unless said otherwise.",
    ]
    return "## Conditions\n\n" + "\n".join(lines) + "\n"
