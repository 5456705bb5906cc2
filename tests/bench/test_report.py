"""The document and its charts from made-up results: no section is left out, and what is wrong does not count."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.bench import report
from tests.bench.breakers import Breakers, Visible
from tests.bench.contender import US
from tests.bench.cost import Profile
from tests.bench.latency import LEVELS, Latency, Levels
from tests.bench.orders import Phase
from tests.bench.pause import Pause
from tests.bench.peers import Tuning
from tests.bench.restore import Cold
from tests.bench.results import KINDS, Kept, Results
from tests.bench.run import Measured
from tests.bench.tuning import Tried, best_of

THEM = "Kafka Streams (cache on, 500 ms, its best)"


def measured(rate: float, wrong: str = "") -> Measured:
    return Measured(500_000, rate, 9.5, 3.1, 250.0, 1.0, wrong)


def waits(p99_ms: float) -> Latency:
    return Latency(1_000, 9.0, p99_ms, 2 * p99_ms, 60.0, 40.0, 1.0, "")


def cold(sagas: int, rate: float) -> Cold:
    return Cold(sagas, 2.0, sagas / rate, rate, 3.0, measured(rate / 5))


FOUND: dict[str, Any] = {
    "tuning": [Tried("w1", Tuning("off", 100), 50_000, ""), Tried("w1", Tuning("on", 500), 90_000, "")],
    "w1": {US: [measured(300_000), measured(330_000), measured(310_000)], THEM: [measured(100_000)]},
    "w2": {US: [measured(150_000), measured(990_000, "states 1, not 2")], THEM: [measured(50_000)]},
    "w3": {US: [waits(20)], THEM: [waits(120)]},
    "w4": {US: [cold(1_000_000, 320_000)], f"{US}, timed": [cold(1_000_000, 210_000)], THEM: [cold(1_000_000, 9e4)]},
    "w5": [[Phase("starts", 20_000, 40_000, 20, 3, 200), Phase("replies", 80_000, 80_000, 11, 3, 220)]],
    "breakers": [
        Breakers(Phase("calls", 500_000, 90_000, 9, 2, 120), Visible(50_000, 440, 30.0, 60.0, 50.0, 30.0, 2.0, ""))
    ],
    "latency": {US: Levels(60_000, {percent: waits(percent) for percent in LEVELS})},
    "workers": {US: {1: measured(150_000), 2: measured(180_000)}},
    "inflight": {US: {1_000: cold(1_000, 1e5), 1_000_000: cold(1_000_000, 3e5)}},
    "partitions": {US: {1: measured(150_000), 64: measured(120_000)}},
    "topics": {US: {4: measured(150_000), 1_000: measured(90_000)}},
    "pause": {US: [Pause("restart, warm state", 1.2, 1.3, 1.4, "")]},
    "profile": {"w2": Profile({"decode": 0.7, "decide": 1.9}, {"MainThread": {"app/engine/tasks/lane.py": 2.0}}, 0.9)},
}


def kept(section: str) -> Kept[Any]:
    return Kept("2030-01-01 00:00 UTC", "abc1234", 0.1, 0, "python -m tests.bench", False, FOUND[section])


def test_every_section_is_kept_and_read_back(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for section in KINDS:
        results.keep(section, kept(section))
    assert {section: one.found for section, one in results.all_().items()} == FOUND


def test_every_section_has_its_chapter_and_every_chart_its_place() -> None:
    text, charts = report.written({section: kept(section) for section in KINDS})
    assert [title for title in report.TITLES.values() if f"## {title}\n" not in text] == []
    assert [name for name in charts if f"](benchmarks/{name})" not in text] == []


@pytest.mark.parametrize("section", KINDS)
def test_a_section_alone_is_a_document(section: str) -> None:
    text, charts = report.written({section: kept(section)})
    assert f"## {report.TITLES[section]}\n" in text
    for svg in charts.values():
        ElementTree.fromstring(svg)


def test_what_is_wrong_does_not_count() -> None:
    text, _ = report.written({"w2": kept("w2")})
    assert "| W2, records/s | 150,000 | 50,000 | 3.00 | at least 3 |" in text
    assert "states 1, not 2" in text


def test_the_best_setting_is_the_fastest_that_is_right_and_for_latency_the_least() -> None:
    tried = [
        Tried("w1", Tuning("off", 100), 50_000, ""),
        Tried("w1", Tuning("on", 500), 90_000, ""),
        Tried("w1", Tuning("on", 2_000), 99_000, "outputs 1, not 2"),
        Tried("w3", Tuning("off", 20), 40.0, ""),
        Tried("w3", Tuning("off", 100), 120.0, ""),
    ]
    assert best_of(tried) == {"w1": Tuning("on", 500), "w3": Tuning("off", 20)}
