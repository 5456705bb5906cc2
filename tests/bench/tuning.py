"""How Kafka Streams is at its best here: its cache and its commit interval, tried on each workload."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.bench.cluster import Failed
from tests.bench.contender import Contender
from tests.bench.peers import Peers, Tuning

TRIED = {
    "w1": [Tuning(cache, ms) for cache in ("off", "on") for ms in (100, 500, 2_000)],
    "w2": [Tuning(cache, ms) for cache in ("off", "on") for ms in (100, 500, 2_000)],
    "w3": [Tuning("off", ms) for ms in (5, 10, 20, 50, 100)],
}


class Tried(NamedTuple):
    workload: str
    tuning: Tuning
    figure: float  # records a second; of w3 the p99 in ms
    wrong: str


def tried(workload: str, peers: Peers, measure: Callable[[Contender], tuple[float, str]]) -> list[Tried]:
    return [Tried(workload, tuning, *_figure(peers.streams(tuning), measure)) for tuning in TRIED[workload]]


def _figure(contender: Contender, measure: Callable[[Contender], tuple[float, str]]) -> tuple[float, str]:
    try:
        return measure(contender)
    except Failed as error:
        return 0.0, str(error).splitlines()[0]


def best_of(found: Iterable[Tried]) -> dict[str, Tuning]:
    """By workload; a wrong one does not count."""
    counted = [one for one in found if not one.wrong]
    return {one.workload: min(counted, key=lambda other: rank(one.workload, other)).tuning for one in counted}


def rank(workload: str, one: Tried) -> tuple[bool, float]:
    return one.workload != workload, one.figure if workload == "w3" else -one.figure
