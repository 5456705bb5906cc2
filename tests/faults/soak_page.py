"""docs/soak.md: the first third beside the last."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from tests.faults.report import conditions
from tests.faults.run import commit
from tests.support.page import row, table

if TYPE_CHECKING:
    from tests.faults.soak import Sample

HEAD = """\
# Soak

Written by `make soak`: two workers of the toy row at half of the maximum load; one of them is killed with -9 every five
minutes (four times in a shorter run) and started again, the other must not grow. A sample every ten seconds, all of
them in `var/soak/samples.csv`. Every sum is held to the one before it as it arrives: none lost, none twice, none out of
order.
"""
MEANING = {
    "steady_rss_mb": ("memory of the worker that is never killed, MB", 10.0),
    "steady_files": ("its open files", 5.0),
    "steady_threads": ("its threads", 3.0),
    "broker_rss_mb": ("memory of the broker, MB", 100.0),
    "lag": ("records not processed yet", 0.0),
    "p50_ms": ("send to read, p50 ms", 20.0),
    "p99_ms": ("send to read, p99 ms", 100.0),
}
MORE = 1.2  # and what the last third may be above that, in its own unit


def page(samples: Sequence[Sample], maximum: float, wrong: Sequence[str], load: float) -> tuple[str, bool]:
    """The text, and whether everything is flat."""
    third = max(1, len(samples) // 3)
    lines, flat = [], True
    for name, (meaning, room) in MEANING.items():
        first, last = (median(getattr(one, name) for one in part) for part in (samples[:third], samples[-third:]))
        level = last <= first * MORE + (maximum / 10 if name == "lag" else room)
        flat = flat and level
        highest = max(getattr(one, name) for one in samples)
        lines.append(row(meaning, f"{first:,.0f}", f"{last:,.0f}", f"{highest:,.0f}", "yes" if level else "**no**"))
    heads = ("", "first third, median", "last third, median", "highest", "flat")
    end = samples[-1]
    exact = "; ".join(wrong) or "Every sum is what it must be: none lost, none twice, none out of order."
    minutes, rate = end.seconds / 60, maximum / 2
    done = f"{minutes:.0f} minutes at {rate:,.0f} records/s, half of {maximum:,.0f}; {end.records:,} records"
    said = f"{done}, {end.kills} kills. {exact}"
    grown = f"Flat: at most {MORE - 1:.0%} above the first third, and a little room for what is small.\n"
    about = conditions(f"load average {load:.1f} before, commit {commit()}")
    return "\n".join([HEAD, said, "", table("From beginning to end", heads, lines), grown, about]), flat
