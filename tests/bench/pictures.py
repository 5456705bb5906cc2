"""Which chart shows which section; a file name begins with its section's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from tests.bench import charts, tables
from tests.bench.charts import Bar
from tests.bench.contender import US
from tests.bench.cost import Profile
from tests.bench.latency import Latency, Levels
from tests.bench.orders import Phase
from tests.bench.pause import Pause
from tests.bench.restore import Cold
from tests.bench.results import Curves, Throughput
from tests.bench.run import Measured

PERCENTILES = ("p50", "p99", "p99.9")
Drawn = dict[str, str]


def of(section: str, found: Any) -> Drawn:
    """Charts by file name."""
    draw: dict[str, Callable[[Any], Drawn]] = {
        "w1": lambda runs: throughput("w1", runs),
        "w2": lambda runs: throughput("w2", runs),
        "w3": w3,
        "w4": w4,
        "w5": w5,
        "latency": levels,
        "workers": lambda curves: {"workers.svg": scaled("Workers", curves, "workers", log=False)},
        "inflight": inflight,
        "partitions": lambda curves: {"partitions.svg": scaled("Partitions", curves, "partitions", log=True)},
        "topics": lambda curves: {"topics.svg": scaled("Output topics", curves, "topics", log=True)},
        "pause": pauses,
        "profile": profile,
    }
    return draw[section](found) if section in draw else {}


def short(name: str) -> str:
    return name.replace("Kafka Streams (", "Streams (").replace("(exactly once, ", "(")


def bar(label: str, values: Sequence[float], series: int = 0) -> Bar:
    return Bar(short(label), median(values), min(values), max(values), series)


def throughput(section: str, found: Throughput) -> Drawn:
    counted = {name: runs for name, of in found.items() if (runs := tables.counted(of))}
    rates = [bar(name, [run.rate for run in runs]) for name, runs in counted.items()]
    peaks = [bar(name, [run.rss_mb for run in runs]) for name, runs in counted.items()]
    title = section.upper()
    return {
        f"{section}-rate.svg": charts.bars(title, "records/s", rates),
        f"{section}-memory.svg": charts.bars(f"{title}, peak RSS", "MB", peaks),
    }


def w3(found: Mapping[str, Sequence[Latency]]) -> Drawn:
    """Without who did not keep up: its bar would hide the others."""
    kept_up = {name: runs for name, runs in found.items() if median(run.p50_ms for run in runs) < 1_000}
    given = [
        bar(f"{name}" if not number else "", [run.percentiles[number] for run in runs], number)
        for name, runs in kept_up.items()
        for number in range(len(PERCENTILES))
    ]
    return {"w3.svg": charts.bars("W3", "ms", given, PERCENTILES)}


def levels(found: Mapping[str, Levels]) -> Drawn:
    given = {
        f"{'this engine' if name == US else 'Kafka Streams'} {percentile}": {
            percent: at.percentiles[number] for percent, at in one.at.items()
        }
        for name, one in found.items()
        for number, percentile in enumerate(PERCENTILES[:2])
    }
    across = "% of the most that it keeps up with"
    return {"latency.svg": charts.lines("Latency by load", "ms", given, across=across, log=(False, True))}


def w4(found: Mapping[str, Sequence[Cold]]) -> Drawn:
    given = [bar(name, [run.rate for run in runs]) for name, runs in found.items()]
    return {"w4.svg": charts.bars("W4, restore", "records/s", given)}


def w5(found: Sequence[Sequence[Phase]]) -> Drawn:
    given = [bar(of[0].what, [phase.rate for phase in of]) for of in zip(*found, strict=True)]
    given.append(bar("both", [tables.both_phases(run) for run in found]))
    return {"w5.svg": charts.bars("W5", "records/s", given)}


def scaled(title: str, found: Curves, across: str, *, log: bool) -> str:
    given = {short(name): {x: run.rate for x, run in at.items()} for name, at in found.items()}
    return charts.lines(title, "records/s", given, across=across, log=(log, False))


def inflight(found: Mapping[str, Mapping[int, Cold]]) -> Drawn:
    def drawn(title: str, unit: str, figure: Callable[[Measured], float]) -> str:
        given = {short(name): {x: figure(cold.then) for x, cold in at.items()} for name, at in found.items()}
        return charts.lines(title, unit, given, across="sagas in flight", log=(True, False))

    return {
        "inflight-cost.svg": drawn("Cost by sagas in flight", "CPU us/record", lambda run: run.own_us),
        "inflight-memory.svg": drawn("Memory by sagas in flight", "peak RSS MB", lambda run: run.rss_mb),
    }


def pauses(found: Mapping[str, Sequence[Pause]]) -> Drawn:
    names = [short(name) for name in found]
    given = [
        Bar(one.what, one.partition_s, one.partition_s, one.partition_s, number)
        for which in zip(*found.values(), strict=False)
        for number, one in enumerate(which)
    ]
    return {"pause.svg": charts.bars("Pause of the most silent partition", "s", given, names)}


def profile(found: Mapping[str, Profile]) -> Drawn:
    names = [name.upper() for name in found]
    steps = list(next(iter(found.values())).alone)
    given = [
        Bar(step if not number else "", one.alone[step], one.alone[step], one.alone[step], number)
        for step in steps
        for number, one in enumerate(found.values())
    ]
    return {"profile.svg": charts.bars("Steps of a record, alone", "us", given, names)}
