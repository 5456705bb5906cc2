"""The tables of the report, one for each section."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from tests.bench.breakers import Breakers
from tests.bench.contender import STREAMS
from tests.bench.cost import Profile
from tests.bench.latency import Latency, Levels
from tests.bench.orders import Phase
from tests.bench.pause import Pause
from tests.bench.restore import Cold
from tests.bench.results import Curves, Throughput
from tests.bench.run import Measured
from tests.bench.tuning import Tried

SHOWN_US = 0.1
TEN_THOUSAND = 10_000
Row = Sequence[str]


def table(heads: Row, lines: Iterable[Row]) -> str:
    return "\n".join(["", *(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *lines)), ""])


def counted(runs: Sequence[Any]) -> list[Any]:
    """What is wrong by the oracle does not count."""
    return [run for run in runs if not run.wrong]


def middle(values: Iterable[float], digits: int = 0) -> str:
    """The median, and the spread where there is more than one run."""
    found = sorted(values)
    if not found:
        return "not counted"
    spread = f" ({found[0]:,.{digits}f}-{found[-1]:,.{digits}f})" if len(found) > 1 else ""
    return f"{median(found):,.{digits}f}{spread}"


def verdict(runs: Iterable[Any]) -> str:
    return "; ".join(run.wrong for run in runs if run.wrong) or "equal"


def best_streams(of: Mapping[str, Any], figure: Callable[[Any], float], *, least: bool = False) -> float | None:
    """The better setting of Kafka Streams."""
    found = [figure(value) for name, value in of.items() if name.startswith(STREAMS)]
    return (min if least else max)(found) if found else None


def rate_of(runs: Sequence[Measured]) -> float:
    return median(run.rate for run in counted(runs)) if counted(runs) else 0.0


def ratio(value: float, to: float | None) -> str:
    return f"{value / to:.2f}" if to else "-"


def throughput(of: Throughput) -> str:
    best = best_streams(of, rate_of)
    heads = ("", "records", "records/s", "ratio", "CPU us/record", "broker's", "peak RSS MB", "others' CPU %", "oracle")
    return table(
        heads,
        [
            (
                name,
                f"{runs[0].records:,}",
                middle(run.rate for run in counted(runs)),
                ratio(rate_of(runs), best),
                middle((run.own_us for run in runs), 1),
                f"{median(run.broker_us for run in runs):.1f}",
                f"{max(run.rss_mb for run in runs):.0f}",
                middle(run.others_percent for run in runs),
                verdict(runs),
            )
            for name, runs in of.items()
        ],
    )


def tuning(tried: Sequence[Tried]) -> str:
    heads = ("workload", "cache", "commit interval ms", "records/s, or p99 ms", "oracle")
    return table(
        heads,
        [
            (one.workload, one.tuning.cache, f"{one.tuning.commit_ms:,}", f"{one.figure:,.0f}", one.wrong or "equal")
            for one in tried
        ],
    )


LATENCY = ("p50 ms", "p99 ms", "p99.9 ms")


def waits(runs: Sequence[Latency]) -> Row:
    return [middle((run.percentiles[number] for run in runs), 1) for number in range(3)]


def w3(of: Mapping[str, Sequence[Latency]]) -> str:
    best = best_streams(of, p99, least=True)
    heads = ("", *LATENCY, "p99 ratio", "CPU %", "broker's", "sent late by, p99 ms", "each once")
    return table(
        heads,
        [
            (
                name,
                *waits(runs),
                ratio(p99(runs), best),
                f"{median(run.own_percent for run in runs):.0f}",
                f"{median(run.broker_percent for run in runs):.0f}",
                f"{max(run.late_ms for run in runs):.1f}",
                verdict(runs),
            )
            for name, runs in of.items()
        ],
    )


def p99(runs: Sequence[Latency]) -> float:
    return median(run.p99_ms for run in runs)


def levels(of: Mapping[str, Levels]) -> str:
    heads = ("", "% of its most", "records/s", *LATENCY, "sent late by, p99 ms", "each once")
    return table(
        heads,
        [
            (name, str(percent), f"{at.rate:,.0f}", *waits([at]), f"{at.late_ms:.1f}", verdict([at]))
            for name, found in of.items()
            for percent, at in found.at.items()
        ],
    )


def w4(of: Mapping[str, Sequence[Cold]]) -> str:
    best = best_streams(of, restore_rate)
    heads = ("", "states", "start s", "restore s", "records/s", "ratio", "start to first output s", "RSS MB", "oracle")
    return table(
        heads,
        [
            (
                name,
                f"{runs[0].sagas:,}",
                middle((run.start_s for run in runs), 1),
                middle((run.restore_s for run in runs), 2),
                middle(run.rate for run in runs),
                ratio(restore_rate(runs), best),
                middle((run.first_s for run in runs), 1),
                f"{max(run.then.rss_mb for run in runs):.0f}",
                verdict(run.then for run in runs),
            )
            for name, runs in of.items()
        ],
    )


def restore_rate(runs: Sequence[Cold]) -> float:
    return median(run.rate for run in runs)


def w5(runs: Sequence[Sequence[Phase]], of_streams: float | None) -> str:
    """One line a phase over all rounds, and one for both."""
    heads = ("", "records", "records/s", "to Kafka Streams' W2", "CPU us/record", "broker's", "peak RSS MB")
    lines = [
        (
            of[0].what,
            f"{of[0].records:,}",
            middle(phase.rate for phase in of),
            ratio(median(phase.rate for phase in of), of_streams),
            middle((phase.own_us for phase in of), 1),
            f"{median(phase.broker_us for phase in of):.1f}",
            f"{max(phase.rss_mb for phase in of):.0f}",
        )
        for of in zip(*runs, strict=True)
    ]
    both = [both_phases(run) for run in runs]
    records = f"{sum(phase.records for phase in runs[0]):,}"
    return table(heads, [*lines, ("both", records, middle(both), ratio(median(both), of_streams), "", "", "")])


def both_phases(run: Sequence[Phase]) -> float:
    return sum(phase.records for phase in run) / sum(phase.records / phase.rate for phase in run)


def breakers(runs: Sequence[Breakers]) -> str:
    floods, seen = [run.flood for run in runs], [run.visible for run in runs]
    taken = (
        f"{floods[0].records:,}",
        middle(flood.rate for flood in floods),
        middle((flood.own_us for flood in floods), 1),
        f"{median(flood.broker_us for flood in floods):.1f}",
        f"{max(flood.rss_mb for flood in floods):.0f}",
    )
    shown = (
        f"{seen[0].rate:,.0f}",
        f"{sum(one.probes for one in seen):,}",
        middle((one.p50_ms for one in seen), 1),
        middle((one.p99_ms for one in seen), 1),
        f"{median(one.own_percent for one in seen):.0f}",
        f"{median(one.broker_percent for one in seen):.0f}",
        f"{max(one.late_ms for one in seen):.1f}",
        verdict(seen),
    )
    flooded = table(("outcomes", "records/s", "CPU us/record", "broker's", "peak RSS MB"), [taken])
    heads = ("outcomes/s", "opened", "p50 ms", "p99 ms", "CPU %", "broker's", "sent late by, p99 ms", "each once")
    return flooded + table(heads, [shown])


def curves(of: Curves, what: str) -> str:
    heads = ("", what, "records/s", "CPU us/record", "broker's", "peak RSS MB", "oracle")
    return table(heads, [(name, f"{x:,}", *costs(run)) for name, at in of.items() for x, run in at.items()])


def inflight(of: Mapping[str, Mapping[int, Cold]]) -> str:
    return costs_in_flight(of) + "".join(growth(name, at) for name, at in of.items())


def growth(name: str, at: Mapping[int, Cold]) -> str:
    most = max(at)
    if TEN_THOUSAND not in at or most <= TEN_THOUSAND:
        return ""
    times = at[most].then.own_us / at[TEN_THOUSAND].then.own_us
    return f"{name}: a record costs {times:.2f} times as much with {most:,} in flight as with 10,000.\n\n"


def costs_in_flight(of: Mapping[str, Mapping[int, Cold]]) -> str:
    heads = ("", "in flight", "restore s", "then records/s", "CPU us/record", "broker's", "peak RSS MB", "oracle")
    return table(
        heads,
        [
            (name, f"{x:,}", f"{cold.restore_s:.2f}", *costs(cold.then))
            for name, at in of.items()
            for x, cold in at.items()
        ],
    )


def costs(run: Measured) -> Row:
    rate = "not counted" if run.wrong else f"{run.rate:,.0f}"
    return (rate, f"{run.own_us:.1f}", f"{run.broker_us:.1f}", f"{run.rss_mb:.0f}", verdict([run]))


def pauses(of: Mapping[str, Sequence[Pause]]) -> str:
    heads = (
        "",
        "",
        "no output at all s",
        "the most silent partition s",
        "the longest wait s",
        "each once",
    )
    return table(
        heads,
        [
            (name, one.what, f"{one.all_s:.2f}", f"{one.partition_s:.2f}", f"{one.worst_s:.2f}", verdict([one]))
            for name, found in of.items()
            for one in found
        ],
    )


def profile(of: Mapping[str, Profile]) -> str:
    """The steps alone, and then the files of the real run."""
    steps = list(next(iter(of.values())).alone)
    sums = [sum(found.alone.values()) for found in of.values()]
    alone = [(step, *(f"{found.alone[step]:.2f}" for found in of.values())) for step in steps]
    alone.append(("together", *(f"{value:.2f}" for value in sums)))
    places = {(thread, file): 0.0 for found in of.values() for thread, files in found.threads.items() for file in files}
    for thread, file in places:
        places[thread, file] = max(found.threads.get(thread, {}).get(file, 0.0) for found in of.values())
    shown = sorted((place for place, us in places.items() if us >= SHOWN_US), key=lambda place: -places[place])
    real = [
        (thread, f"`{file}`", *(f"{found.threads.get(thread, {}).get(file, 0.0):.2f}" for found in of.values()))
        for thread, file in shown
    ]
    real.append(("", "every other file", *(f"{beside(found, shown):.2f}" for found in of.values())))
    real.append(("not Python's", "RocksDB in the background", *(f"{found.other_threads:.2f}" for found in of.values())))
    names = [f"{name.upper()}, us/record" for name in of]
    return table(("step, alone", *names), alone) + table(("thread of a real run", "file", *names), real)


def beside(found: Profile, shown: Sequence[tuple[str, str]]) -> float:
    return sum(
        us for thread, files in found.threads.items() for file, us in files.items() if (thread, file) not in shown
    )
