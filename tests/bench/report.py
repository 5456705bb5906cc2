"""docs/benchmarks.md and its charts, from whatever was measured, whenever that was."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from importlib.metadata import version
from statistics import median
from typing import Any

from tests.bench import pictures, tables
from tests.bench.contender import US
from tests.bench.peers import QUIX, NoPeer, jdk
from tests.bench.results import Kept
from tests.support.page import cpu_model, memory_gib

PACKAGES = ("faust-streaming", "aiokafka", "rocksdict", "msgspec", "orjson")
HEAD = """\
# Benchmarks

What is measured, and how to run it again: [tests/bench](../tests/bench/README.md). Outputs and final states of every
run were compared with the oracle's: "equal" says that they are the same to the last record, and what is not equal does
not count. Figures are medians, with the least and the most of all runs in brackets; ratios are to the better setting of
Kafka Streams. "Others' CPU" is what neither contender nor broker nor harness used, in percent of the machine.
"""
TITLES = {
    "w1": "W1: calls, hot keys",
    "w2": "W2: sagas, cold keys",
    "w3": "W3: latency of W2's step at 1,000 records/s",
    "w4": "W4: cold start from the changelog",
    "w5": "W5: the order saga, everything on",
    "breakers": "Breakers: 110 services, everything on",
    "latency": "Latency at 10, 50 and 80 % of the most that it keeps up with",
    "workers": "Scale: workers",
    "inflight": "Scale: sagas in flight",
    "partitions": "Scale: partitions",
    "topics": "Scale: output topics",
    "pause": "Pauses, at 1,000 records/s",
    "profile": "Cost per record as a profile",
    "tuning": "Kafka Streams' settings",
}
FEWER = "they are an order slower."
NOTES = {
    "w1": f"Quix Streams gets a fifth of the records and stock Faust a twentieth: {FEWER}",
    "w2": f"Quix Streams gets a fifth of the records and stock Faust a tenth: {FEWER}",
    "w3": "From the intended send to the output at a read_committed consumer. Who does not keep up waits ever longer.",
    "w4": "The start is all before the first look at the changelog; the restore ends when the last task is ready.",
    "w5": "All sagas have ended. Nothing else does the same, so the ratio is to the rate of Kafka Streams on W2.",
    "breakers": """\
Single outcomes of calls, first as many as it takes, then at a steady rate while some twenty breakers a second get the
failure that opens them: how soon a reader of committed records sees it (aim: p99 of 100 ms).""",
    "latency": """\
Open loop: sent at intended times, and waits count from there. The most that it keeps up with is the highest rate tried
whose last output came within a second, with sender and reader on the same machine.""",
    "workers": "Processes of this engine; threads of Kafka Streams. Broker and harness share the machine with them.",
    "inflight": "So many running sagas are restored first; then come W2's steps, spread evenly over all of them.",
    "topics": "Outputs are spread over so many topics, of 4 partitions each.",
    "pause": """\
Both are static members of their group. Kafka Streams keeps a joining worker without tasks until it has warmed up, so
its pause is short and its balance late.""",
    "profile": """\
The steps alone run in one process without a broker, one after the other; the real run is sampled each ms of CPU, and
the innermost file of the product or of a package is counted.""",
    "tuning": "One run each. The best of each workload is what the other tables show.",
}
DRAWN: dict[str, Callable[[Any], str]] = {
    "w1": tables.throughput,
    "w2": tables.throughput,
    "w3": tables.w3,
    "w4": tables.w4,
    "breakers": tables.breakers,
    "latency": tables.levels,
    "workers": lambda found: tables.curves(found, "workers"),
    "inflight": tables.inflight,
    "partitions": lambda found: tables.curves(found, "partitions"),
    "topics": lambda found: tables.curves(found, "topics"),
    "pause": tables.pauses,
    "profile": tables.profile,
    "tuning": tables.tuning,
}


def written(results: Mapping[str, Kept[Any]]) -> tuple[str, dict[str, str]]:
    """The document, and its charts by file name."""
    charts = {name: svg for section, kept in results.items() for name, svg in pictures.of(section, kept.found).items()}
    parts = [HEAD, against(results)]
    for section, title in TITLES.items():
        if section in results:
            mine = [name for name in charts if name.split("-")[0].split(".")[0] == section]
            parts += chapter(section, title, results, mine)
    return "\n".join([*parts, conditions()]), charts


def chapter(section: str, title: str, results: Mapping[str, Kept[Any]], charts: list[str]) -> list[str]:
    kept = results[section]
    streams = streams_w2(results)
    text = tables.w5(kept.found, streams) if section == "w5" else DRAWN[section](kept.found)
    pictured = [f"![{title}](benchmarks/{name})\n" for name in charts]
    note = [NOTES[section]] if section in NOTES else []
    return [f"## {title}\n", *note, text, *pictured, f"{'Not a measurement: ' * kept.quick}{kept.when}.\n"]


def streams_w2(results: Mapping[str, Kept[Any]]) -> float | None:
    return tables.best_streams(results["w2"].found, tables.rate_of) if "w2" in results else None


def against(results: Mapping[str, Kept[Any]]) -> str:
    """One line for each aim, as far as it was measured."""
    lines = [line for line in (rates(results, "w1", "5"), rates(results, "w2", "3")) if line]
    lines += [line for line in (order_saga(results), slowest(results), *restores(results)) if line]
    lines += [line for line in (memory(results, "w1", "0.5"), memory(results, "w2", "0.75")) if line]
    heads = ("", "this engine", "Kafka Streams", "ratio", "aim")
    return "## Beside Kafka Streams at its best\n" + tables.table(heads, lines) if lines else ""


Line = tuple[str, str, str, str, str]


def compared(what: str, ours: float, theirs: float | None, aim: str, digits: int = 0) -> Line | None:
    if theirs is None:
        return None
    return what, f"{ours:,.{digits}f}", f"{theirs:,.{digits}f}", tables.ratio(ours, theirs), aim


def rates(results: Mapping[str, Kept[Any]], section: str, aim: str) -> Line | None:
    if section not in results:
        return None
    of = results[section].found
    ours, theirs = tables.rate_of(of[US]), tables.best_streams(of, tables.rate_of)
    return compared(f"{section.upper()}, records/s", ours, theirs, f"at least {aim}")


def order_saga(results: Mapping[str, Kept[Any]]) -> Line | None:
    if "w5" not in results:
        return None
    ours = median(tables.both_phases(run) for run in results["w5"].found)
    return compared("W5, records/s, to Kafka Streams' W2", ours, streams_w2(results), "at least 1.5")


def slowest(results: Mapping[str, Kept[Any]]) -> Line | None:
    if "w3" not in results:
        return None
    of = results["w3"].found
    return compared(
        "W3, p99 ms", tables.p99(of[US]), tables.best_streams(of, tables.p99, least=True), "at most 0.33", 1
    )


def restores(results: Mapping[str, Kept[Any]]) -> list[Line | None]:
    if "w4" not in results:
        return []
    of = results["w4"].found
    theirs = tables.best_streams(of, tables.restore_rate)
    aims = ("at least 2, and 300,000", "200,000")
    ours = [name for name in of if name.startswith(US)]
    return [
        compared(f"W4, {name}, records/s", tables.restore_rate(of[name]), theirs, aim)
        for name, aim in zip(ours, aims, strict=False)
    ]


def memory(results: Mapping[str, Kept[Any]], section: str, aim: str) -> Line | None:
    if section not in results:
        return None
    of = results[section].found

    def peak(runs: Any) -> float:
        return float(max(run.rss_mb for run in runs))

    theirs = tables.best_streams({name: runs for name, runs in of.items() if tables.rate_of(runs)}, peak, least=True)
    return compared(f"{section.upper()}, peak RSS MB", peak(of[US]), theirs, f"at most {aim}")


def conditions() -> str:
    """Where and of what the figures are."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        f"Machine: {os.cpu_count()} cores ({cpu_model()}), {memory_gib():.0f} GiB, {platform.platform(terse=True)};",
        "broker, harness and contender share them.",
        f"Python {platform.python_version()}, {packages}; {QUIX.replace('==', ' ')} in an environment of its own.",
        f"Kafka and Kafka Streams 4.1.1, one broker, 512 MB heap; {java_version()}.",
        "All of it: `make bench`; again from what is kept in `var/bench/results`: `python -m tests.bench --report`.",
    ]
    return "## Conditions\n\n" + "\n".join(lines) + "\n"


def java_version() -> str:
    try:
        said = subprocess.run([jdk("java"), "-version"], capture_output=True, text=True, check=False).stderr
    except NoPeer:
        return "no Java"
    return said.splitlines()[0]
