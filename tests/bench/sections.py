"""The sections of the bench: what each one runs, in which order and how often."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import TypeVar

from tests.bench import oracle, workloads
from tests.bench.breakers import Breakers, breakers
from tests.bench.cluster import Cluster, Failed
from tests.bench.contender import US, Contender, product
from tests.bench.cost import Profile, profile
from tests.bench.latency import Latency, Levels, latency, levels
from tests.bench.orders import Phase, order_saga
from tests.bench.pause import Pause, pauses
from tests.bench.peers import Peers
from tests.bench.process import Job
from tests.bench.restore import Cold, cold
from tests.bench.results import Curves, Throughput
from tests.bench.run import Measured, Workload, throughput
from tests.bench.say import say
from tests.bench.tuning import Tried, tried

R = TypeVar("R")
CALLS, SAGAS, ORDERS, UNDER_WAY = 1_000_000, 100_000, 20_000, 1_000_000
TIMED = f"{US}, with the timer index"
OUTCOMES, OUTCOMES_A_S = 500_000, 50_000
PACED_S, LOADED_S, PAUSED_S = 20.0, 12.0, 25.0


class Sections:
    """`scale`: one in so many of the records."""

    def __init__(self, cluster: Cluster, peers: Peers, rounds: int, scale: int, most: int) -> None:
        self.cluster, self.peers, self.rounds, self.scale, self.most = cluster, peers, rounds, scale, most
        self._preloaded = cache(self._preload)

    def workload(self, name: str, size: int, partitions: int = workloads.PARTITIONS) -> Workload:
        """`size` counts calls for w1, sagas for w2."""
        return self._preloaded(name, size, partitions)

    def _preload(self, name: str, size: int, partitions: int) -> Workload:
        inbox = f"bench-{name}-{size}-{partitions}"
        pairs = workloads.call_outcomes(size) if name == "w1" else workloads.saga_records(size)
        records = self.cluster.preload(inbox, pairs, partitions)
        return Workload(Job(name, inbox, partitions), records, oracle.expected(name, size))

    def in_turn(
        self, what: str, contenders: Iterable[Contender], measure: Callable[[Contender], R]
    ) -> dict[str, list[R]]:
        """Each contender once, then each again: what disturbs the machine for a while disturbs all."""
        found: dict[str, list[R]] = {}
        given = list(contenders)
        for number in range(self.rounds):
            for contender in given:
                if not number or not contender.once:
                    self._once(f"{what}, round {number + 1}", contender, measure, found)
        return found

    def _once(
        self, what: str, contender: Contender, measure: Callable[[Contender], R], found: dict[str, list[R]]
    ) -> None:
        """Another's failure is told, and does not end the rest."""
        try:
            measured = measure(contender)
        except Failed as error:
            if contender.name.startswith(US):
                raise
            say(f"{what}, {contender.name}: failed and is not counted: {error}")
            return
        found.setdefault(contender.name, []).append(measured)
        say(f"{what}, {contender.name}: {'done' if isinstance(measured, dict) else measured}")

    def tuning(self) -> list[Tried]:
        def rate(name: str, contender: Contender) -> tuple[float, str]:
            run = self._throughput(name, contender)
            say(f"tuning of {name}, {contender.name}: {run.rate:,.0f} records/s {run.wrong}")
            return run.rate, run.wrong

        def p99(contender: Contender) -> tuple[float, str]:
            run = latency(contender, self.cluster, PACED_S / 2)
            say(f"tuning of w3, {contender.name}: p99 {run.p99_ms:.1f} ms {run.wrong}")
            return run.p99_ms, run.wrong

        w1 = tried("w1", self.peers, lambda contender: rate("w1", contender))
        w2 = tried("w2", self.peers, lambda contender: rate("w2", contender))
        return [*w1, *w2, *tried("w3", self.peers, p99)]

    def _throughput(self, name: str, contender: Contender) -> Measured:
        size = (CALLS if name == "w1" else SAGAS) // self.scale
        share = max(1, contender.share // 2) if name == "w2" and contender.once else contender.share
        return throughput(contender, self.cluster, self.workload(name, size // share))

    def w1(self) -> Throughput:
        return self.in_turn("w1", self.peers.all_of("w1"), lambda contender: self._throughput("w1", contender))

    def w2(self) -> Throughput:
        return self.in_turn("w2", self.peers.all_of("w2"), lambda contender: self._throughput("w2", contender))

    def w3(self) -> dict[str, list[Latency]]:
        seconds = PACED_S / min(self.scale, 4)
        return self.in_turn("w3", self.peers.all_of("w3"), lambda contender: latency(contender, self.cluster, seconds))

    def w4(self) -> dict[str, list[Cold]]:
        sagas = UNDER_WAY // self.scale
        ours, *others = self.peers.best_of("w2")

        def measure(contender: Contender) -> Cold:
            return self._cold("timed" if contender.name == TIMED else "w2", contender, sagas, 1_000)

        return self.in_turn("w4", [ours, replace(ours, name=TIMED), *others], measure)

    def _cold(self, workload: str, contender: Contender, sagas: int, count: int) -> Cold:
        job = Job(workload, f"bench-cold-{time.time_ns():x}")
        return cold(contender, self.cluster, job, sagas, count)

    def w5(self) -> list[list[Phase]]:
        found = []
        for number in range(self.rounds):
            found.append(order_saga(self.cluster, ORDERS // self.scale))
            say(f"w5, round {number + 1}: {found[-1]}")
        return found

    def breakers(self) -> list[Breakers]:
        seconds = LOADED_S * 2 / min(self.scale, 4)
        found = []
        for number in range(self.rounds):
            found.append(breakers(self.cluster, OUTCOMES // self.scale, OUTCOMES_A_S, seconds))
            say(f"breakers, round {number + 1}: {found[-1]}")
        return found

    def latency(self) -> dict[str, Levels]:
        seconds, hot = LOADED_S / min(self.scale, 3), 100_000 // self.scale
        return self._each("latency", self.peers.best_of("w3"), lambda one: levels(one, self.cluster, seconds, hot))

    def _each(self, what: str, contenders: Iterable[Contender], measure: Callable[[Contender], R]) -> dict[str, R]:
        found: dict[str, list[R]] = {}
        for contender in contenders:
            self._once(what, contender, measure, found)
        return {name: runs[0] for name, runs in found.items()}

    def _curve(
        self, what: str, contender: Contender, points: Iterable[int], at: Callable[[Contender, int], R]
    ) -> dict[int, R]:
        found: dict[int, R] = {}
        for point in points:
            found[point] = at(contender, point)
            say(f"{what} {point:,}, {contender.name}: {found[point]}")
        return found

    def workers(self) -> Curves:
        """Kafka Streams with as many threads."""
        tuning, size = self.peers.best["w2"], SAGAS // self.scale

        def at(contender: Contender, count: int) -> Measured:
            several = product(count) if contender.name == US else self.peers.streams(tuning, threads=count)
            return throughput(several, self.cluster, self.workload("w2", size))

        return self._each("workers", self.peers.best_of("w2"), lambda one: self._curve("workers", one, (1, 2), at))

    def inflight(self) -> dict[str, dict[int, Cold]]:
        sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000, 10_000_000) if size <= self.most // self.scale]

        def at(contender: Contender, sagas: int) -> Cold:
            return self._cold("w2", contender, sagas, SAGAS // self.scale)

        return self._each("inflight", self.peers.best_of("w2"), lambda one: self._curve("in flight", one, sizes, at))

    def partitions(self) -> Curves:
        def at(contender: Contender, count: int) -> Measured:
            return throughput(contender, self.cluster, self.workload("w2", SAGAS // 2 // self.scale, count))

        points = (1, 4, 16, 64)
        return self._each(
            "partitions", self.peers.best_of("w2"), lambda one: self._curve("partitions", one, points, at)
        )

    def topics(self) -> Curves:
        """Only this engine. Four kinds of output, each spread over a quarter of the topics."""

        def at(contender: Contender, count: int) -> Measured:
            plain = self.workload("w2", SAGAS // 2 // self.scale)
            return throughput(contender, self.cluster, plain._replace(job=plain.job._replace(spread=count // 4)))

        return {US: self._curve("output topics", product(), (4, 12, 100, 1_000), at)}

    def pause(self) -> dict[str, list[Pause]]:
        sagas, seconds = UNDER_WAY // 5 // self.scale, PAUSED_S
        return self._each("pause", self.peers.best_of("w3"), lambda one: pauses(one, self.cluster, sagas, seconds))

    def profile(self) -> dict[str, Profile]:
        sizes = {"w1": CALLS // self.scale, "w2": SAGAS // self.scale}
        count = 50_000 // min(self.scale, 2)
        found = {name: profile(self.cluster, self.workload(name, size), count) for name, size in sizes.items()}
        say(f"profile: { {name: one.alone for name, one in found.items()} }")
        return found


# Roughly how long each takes, in s, with all peers and three rounds.
SECONDS = {
    "tuning": 480,
    "w1": 330,
    "w2": 400,
    "w3": 500,
    "w4": 330,
    "w5": 120,
    "breakers": 180,
    "latency": 300,
    "workers": 100,
    "inflight": 180,
    "partitions": 180,
    "topics": 120,
    "pause": 240,
    "profile": 90,
}
