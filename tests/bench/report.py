"""The figures as one Markdown text, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from tests.bench.latency import Latency
from tests.bench.orders import Phase
from tests.bench.run import Measured

PACKAGES = ("faust-streaming", "aiokafka", "rocksdict", "msgspec")
HEAD = """\
# Benchmarks

What is measured, and how to run it again: [tests/bench](../tests/bench/README.md). The outputs and final states of
every run were compared with the oracle's; "equal" says that they are the same to the last record. "Others' CPU" is what
neither contender nor broker nor harness used, in percent of the machine.
"""


def throughput_table(title: str, runs: Mapping[str, Sequence[Measured]]) -> str:
    """Ratios are to the better setting of Kafka Streams."""
    rates = {name: median(run.rate for run in of) for name, of in runs.items()}
    best = max((rate for name, rate in rates.items() if name.startswith("Kafka Streams")), default=None)
    lines = [
        row(
            name,
            f"{rates[name]:,.0f}",
            spread(run.rate for run in of),
            f"{rates[name] / best:.2f}" if best else "-",
            f"{median(run.own_us for run in of):.1f}",
            f"{median(run.broker_us for run in of):.1f}",
            f"{max(run.rss_mb for run in of):.0f}",
            spread(run.others_percent for run in of),
            verdict(run.wrong for run in of),
        )
        for name, of in runs.items()
    ]
    heads = (
        "",
        "records/s, median",
        "all runs",
        "ratio",
        "CPU us/record",
        "broker's",
        "RSS MB",
        "others' CPU %",
        "oracle",
    )
    return table(title, heads, lines)


def latency_table(title: str, runs: Mapping[str, Sequence[Latency]]) -> str:
    best = min(
        (median(run.p50_ms for run in of) for name, of in runs.items() if name.startswith("Kafka Streams")),
        default=None,
    )
    lines = []
    for name, of in runs.items():
        p50 = median(run.p50_ms for run in of)
        lines.append(
            row(
                name,
                f"{p50:.1f}",
                f"{median(run.p99_ms for run in of):.1f}",
                f"{p50 / best:.2f}" if best else "-",
                spread(run.p50_ms for run in of),
                spread(run.p99_ms for run in of),
                f"{median(run.own_percent for run in of):.0f} %",
                f"{median(run.broker_percent for run in of):.0f} %",
                verdict(run.wrong for run in of),
            )
        )
    heads = ("", "p50 ms, median", "p99 ms, median", "p50 ratio", "all p50", "all p99", "CPU", "broker's", "each once")
    return table(title, heads, lines)


def saga_table(title: str, runs: Sequence[Sequence[Phase]]) -> str:
    """One line a phase, over all rounds."""
    lines = [
        row(
            of[0].what,
            f"{of[0].records:,}",
            f"{median(phase.rate for phase in of):,.0f}",
            spread(phase.rate for phase in of),
            f"{median(phase.own_us for phase in of):.1f}",
            f"{median(phase.broker_us for phase in of):.1f}",
        )
        for of in zip(*runs, strict=True)
    ]
    return table(title, ("", "records", "records/s, median", "all runs", "CPU us/record", "broker's"), lines)


def table(title: str, heads: Sequence[str], lines: Iterable[str]) -> str:
    rule = row(*("---" for _ in heads))
    return "\n".join([f"## {title}", "", row(*heads), rule, *lines, ""])


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def spread(values: Iterable[float]) -> str:
    found = list(values)
    return ", ".join(f"{value:,.0f}" if max(found) >= 1_000 else f"{value:.1f}" for value in found)


def verdict(wrongs: Iterable[str]) -> str:
    return "; ".join(wrong for wrong in wrongs if wrong) or "equal"


def conditions(java: str | None, load: float) -> str:
    """Where and of what the figures are."""
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    said = subprocess.run([java or "true", "-version"], capture_output=True, text=True, check=False).stderr.splitlines()
    lines = [
        f"Machine: {os.cpu_count()} cores ({cpu_model()}), {memory_gib():.0f} GiB, {platform.platform(terse=True)};",
        f"broker, harness and contender share them; load average before the first run {load:.1f}.",
        f"Python {platform.python_version()}, {packages}; commit {git.stdout.strip() or 'unknown'}.",
        f"Kafka and Kafka Streams 4.1.1, one broker, 512 MB heap; {said[0] if said else 'no Java'}.",
        f"Command: `{' '.join(['python -m tests.bench', *sys.argv[1:]])}`, niceness {os.nice(0)}.",
    ]
    return "## Conditions\n\n" + "\n".join(lines) + "\n"


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
