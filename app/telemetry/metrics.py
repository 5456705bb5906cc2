"""Every metric, once: its kind, unit, labels and meaning.

They are counted once a batch in plain numbers (a `prometheus_client` counter costs a microsecond a
call) and shown by one collector, so a scrape may be rendered in another thread. One label set is
counted by one thread only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector

Labels = tuple[str, ...]
L = TypeVar("L", bound=tuple[str, ...])

CATALOGUE: dict[str, Counter | Gauge | Histogram | Summary] = {}


class Declared:
    kind = ""

    def __init__(self, name: str, meaning: str, labels: Labels = (), unit: str = "") -> None:
        if name in CATALOGUE:
            raise ValueError(f"the metric {name} is declared twice")
        self.name, self.meaning, self.labels, self.unit = name, meaning, labels, unit

    def _check(self, labels: Labels) -> None:
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name}{labels}: expected a value for each of {self.labels}")


class Counter(Declared):
    """Shown as 0 before the first count where it has no labels."""

    kind = "counter"

    def __init__(self, name: str, meaning: str, labels: Labels = (), unit: str = "") -> None:
        super().__init__(name, meaning, labels, unit)
        self._counts: dict[Labels, int] = {} if labels else {(): 0}
        CATALOGUE[name] = self

    def add(self, labels: Labels = (), n: int = 1) -> None:
        try:
            self._counts[labels] += n
        except KeyError:
            self._check(labels)
            self._counts[labels] = n

    def replace(self, counts: Mapping[L, int]) -> None:
        """All label sets at once, where the counts are kept elsewhere."""
        self._counts = dict(counts.items())

    def samples(self) -> Mapping[Labels, float]:
        return self._counts.copy()

    def family(self) -> Metric:
        family = CounterMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, count in self._counts.copy().items():
            family.add_metric(labels, count)
        return family


class Few:
    """Values of a label that others choose: the first `most` of them as they are, cut short; all else is `other`."""

    def __init__(self, most: int = 50, longest: int = 200) -> None:
        self._most, self._longest, self._known = most, longest, set[str]()

    def of(self, value: str) -> str:
        value = value[: self._longest]
        if value not in self._known:
            if len(self._known) == self._most:
                return "other"
            self._known.add(value)
        return value


class Gauge(Declared):
    kind = "gauge"

    def __init__(self, name: str, meaning: str, labels: Labels = (), unit: str = "") -> None:
        super().__init__(name, meaning, labels, unit)
        self._values: dict[Labels, float] = {}
        CATALOGUE[name] = self

    def set(self, labels: Labels, value: float) -> None:
        self._check(labels)
        self._values[labels] = value

    def replace(self, values: Mapping[L, float]) -> None:
        """All label sets at once; what is not among them is no longer shown."""
        fresh: dict[Labels, float] = {}
        for labels, value in values.items():
            self._check(labels)
            fresh[labels] = value
        self._values = fresh

    def forget(self, labels: Labels) -> None:
        self._values.pop(labels, None)

    def samples(self) -> Mapping[Labels, float]:
        return self._values.copy()

    def family(self) -> Metric:
        family = GaugeMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, value in self._values.copy().items():
            family.add_metric(labels, value)
        return family


class Histogram(Declared):
    kind = "histogram"

    def __init__(self, name: str, meaning: str, buckets: Iterable[float], labels: Labels = (), unit: str = "") -> None:
        super().__init__(name, meaning, labels, unit)
        self.buckets = tuple(buckets)
        self._rows: dict[Labels, list[float]] = {}  # a count for each bucket, one for beyond them, the sum
        CATALOGUE[name] = self
        if not labels:
            self._row(())

    def observe(self, labels: Labels, value: float) -> None:
        row = self._rows.get(labels) or self._row(labels)
        row[bisect_left(self.buckets, value)] += 1
        row[-1] += value

    def _row(self, labels: Labels) -> list[float]:
        self._check(labels)
        return self._rows.setdefault(labels, [0] * (len(self.buckets) + 2))

    def samples(self) -> Mapping[Labels, float]:
        """The number of observations."""
        return {labels: sum(row[:-1]) for labels, row in self._rows.copy().items()}

    def totals(self) -> Mapping[Labels, float]:
        return {labels: row[-1] for labels, row in self._rows.copy().items()}

    def family(self) -> Metric:
        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, row in self._rows.copy().items():
            family.add_metric(labels, list(self._cumulative(row[:-1])), row[-1])
        return family

    def _cumulative(self, counts: list[float]) -> Iterator[tuple[str, float]]:
        total = 0.0
        for bound, count in zip((*(str(float(bound)) for bound in self.buckets), "+Inf"), counts, strict=True):
            total += count
            yield bound, total


class Summary(Declared):
    """Numbers of observations and their sums, both kept elsewhere."""

    kind = "summary"

    def __init__(self, name: str, meaning: str, labels: Labels, unit: str = "") -> None:
        super().__init__(name, meaning, labels, unit)
        self._rows: dict[Labels, tuple[int, float]] = {}
        CATALOGUE[name] = self

    def replace(self, rows: Mapping[L, tuple[int, float]]) -> None:
        """All label sets at once; what is not among them is no longer shown."""
        self._rows = dict(rows.items())

    def samples(self) -> Mapping[Labels, float]:
        return {labels: count for labels, (count, _) in self._rows.items()}

    def totals(self) -> Mapping[Labels, float]:
        return {labels: total for labels, (_, total) in self._rows.items()}

    def family(self) -> Metric:
        family = SummaryMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, (count, total) in self._rows.items():
            family.add_metric(labels, count, total)
        return family


RECORDS = Counter(
    "iopt_records_total",
    "Records consumed or expired unread, by what became of them",
    ("topic", "fate", "reason"),
    "records",
)
SENDERS = Few()  # of misplaced records: the reason is their `ce_source`
OUTS = Counter("iopt_outs_total", "Records sent in committed transactions", ("topic",), "records")
COMMITS = Counter("iopt_commits_total", "Transactions committed")
ABORTS = Counter("iopt_transactions_aborted_total", "Transactions aborted")
COMMIT_SECONDS = Histogram(
    "iopt_commit_seconds",
    "From the snapshot of a transaction to its end at the broker",
    (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
    unit="seconds",
)
TRANSACTION_RECORDS = Histogram(
    "iopt_transaction_records",
    "Records consumed in one transaction",
    (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000),
    unit="records",
)
TRANSACTION_BYTES = Histogram(
    "iopt_transaction_bytes",
    "Bytes of outs and changed states in one transaction",
    (1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304),
    unit="bytes",
)
LAG = Gauge("iopt_lag", "Records up to the stable offset that are not committed yet", ("topic", "partition"), "records")
TASKS = Gauge("iopt_tasks", "Tasks of this worker by state", ("state",))
REBALANCES = Counter("iopt_rebalances_total", "Assignments received from the group")
RESTORED = Counter("iopt_restore_records_total", "Changelog records read to restore state", unit="records")
RESTORE_REMAINING = Gauge(
    "iopt_restore_remaining", "Changelog records still to be read by a restoring task", ("row", "partition"), "records"
)
VIEWS_READY = Gauge("iopt_views_ready", "1 once a view has been read to its end", ("view",))
TIMERS_FIRED = Counter("iopt_timers_fired_total", "Timers fired", ("row",))
TIMERS_HELD = Counter("iopt_timer_held_total", "Timers fired although a partition was still held up by others")
CLOCK_JUMPS = Counter("iopt_clock_jumps_total", "Jumps of the wall clock by more than five seconds")
REWINDS = Counter("iopt_rewinds_total", "Transactions given up, read again one record at a time", ("reason",))
DEAD_LETTERS = Counter("iopt_dead_letters_total", "Records dead-lettered, by source", ("topic", "reason"), "records")
SAGAS = Gauge("iopt_sagas", "Sagas in this worker's tasks by state", ("state",))
BREAKER_STATES = Gauge(
    "iopt_breaker_state", "1 for the state that a breaker of this worker's tasks is in, else 0", ("breaker", "state")
)
CIRCUIT_BREAKER = "resilience4j_circuitbreaker"  # what Micrometer makes of its CircuitBreakerMetricNames
R4J_STATE = Gauge(f"{CIRCUIT_BREAKER}_state", "The states of the circuit breaker", ("name", "state"))
R4J_CALLS = Summary(
    f"{CIRCUIT_BREAKER}_calls_seconds",
    "Calls since the circuit breaker began, by how they ended",
    ("name", "kind"),
    "seconds",
)
R4J_NOT_PERMITTED = Counter(
    f"{CIRCUIT_BREAKER}_not_permitted_calls_total", "Total number of not permitted calls", ("name", "kind"), "calls"
)
R4J_BUFFERED = Gauge(
    f"{CIRCUIT_BREAKER}_buffered_calls",
    "The number of buffered calls stored in the sliding window",
    ("name", "kind"),
    "calls",
)
R4J_MAX_BUFFERED = Gauge(
    f"{CIRCUIT_BREAKER}_max_buffered_calls", "The most calls that the sliding window may store", ("name",), "calls"
)
R4J_SLOW = Gauge(
    f"{CIRCUIT_BREAKER}_slow_calls", "The number of slow calls stored in the sliding window", ("name", "kind"), "calls"
)
R4J_FAILURE_RATE = Gauge(
    f"{CIRCUIT_BREAKER}_failure_rate",
    "The failure rate of the circuit breaker, -1 below its minimum of calls",
    ("name",),
    "percent",
)
R4J_SLOW_CALL_RATE = Gauge(
    f"{CIRCUIT_BREAKER}_slow_call_rate",
    "The slow call rate of the circuit breaker, -1 below its minimum of calls",
    ("name",),
    "percent",
)
BROKER_UP = Gauge("iopt_broker_up", "1 while a broker answers")
BUILD = Gauge("iopt_build_info", "Always 1; its label says what runs", ("version",))


class Catalogue:
    def collect(self) -> Iterator[Metric]:
        return (declared.family() for declared in CATALOGUE.values())


REGISTRY = CollectorRegistry(auto_describe=False)
REGISTRY.register(Catalogue())
ProcessCollector(registry=REGISTRY)


def render(accept: str = "") -> tuple[bytes, str]:
    """The exposition and its content type: OpenMetrics where it is asked for, else Prometheus text."""
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type
