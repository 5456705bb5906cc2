"""The catalogue: what is declared is what is shown, and nothing else can be counted."""

import threading

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from app.telemetry import metrics
from app.telemetry.metrics import CATALOGUE, Counter, Few, Gauge, Histogram, render


@pytest.fixture
def declare():
    before = set(CATALOGUE)
    yield lambda kind, *args, **kwargs: kind("test_" + args[0], *args[1:], **kwargs)
    for name in set(CATALOGUE) - before:
        del CATALOGUE[name]


def shown(name: str) -> dict[tuple[str, ...], float]:
    text = render()[0].decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in prometheus(text)
        for sample in family.samples
        if sample.name.startswith(name)
    }


def test_what_others_choose_makes_few_labels():
    few = Few(most=2, longest=5)
    assert [few.of(value) for value in ("/shop", "", "/shop-1", "/pay", "/pay", "", "/new")] == [
        *("/shop", "", "/shop"),
        *("other", "other", "", "other"),
    ]


def test_counts_add_up_by_label_set(declare):
    counter = declare(Counter, "records_total", "Records", ("source", "what"))
    counter.add(("orders", "processed"), 3)
    counter.add(("orders", "processed"))
    counter.add(("orders", "discarded"))
    assert shown("test_records") == {
        ("test_records_total", "orders", "processed"): 4,
        ("test_records_total", "orders", "discarded"): 1,
    }


def test_a_counter_without_labels_is_shown_as_zero_from_the_start(declare):
    declare(Counter, "commits_total", "Commits")
    assert shown("test_commits") == {("test_commits_total",): 0}


def test_a_gauge_is_set_replaced_and_forgotten(declare):
    gauge = declare(Gauge, "lag", "Lag", ("partition",))
    gauge.set(("0",), 7)
    gauge.set(("1",), 8)
    gauge.forget(("0",))
    assert shown("test_lag") == {("test_lag", "1"): 8}
    gauge.replace({("2",): 1})
    assert shown("test_lag") == {("test_lag", "2"): 1}


def test_buckets_are_cumulative_and_hold_their_upper_bound(declare):
    histogram = declare(Histogram, "size", "Sizes", (1, 10))
    for value in (0.5, 1, 5, 100):
        histogram.observe((), value)
    assert shown("test_size") == {
        ("test_size_bucket", "1.0"): 2,
        ("test_size_bucket", "10.0"): 3,
        ("test_size_bucket", "+Inf"): 4,
        ("test_size_count",): 4,
        ("test_size_sum",): 106.5,
    }


@pytest.mark.parametrize("kind", [Counter, Gauge])
def test_a_label_that_is_not_declared_raises(declare, kind):
    metric = declare(kind, "some", "Some", ("topic",))
    count = metric.add if kind is Counter else lambda labels: metric.set(labels, 1)
    with pytest.raises(ValueError, match=r"test_some.*expected a value for each of"):
        count(("orders", "0"))


def test_a_histogram_refuses_a_label_that_is_not_declared():
    with pytest.raises(ValueError, match="iopt_commit_seconds"):
        metrics.COMMIT_SECONDS.observe(("orders",), 1)


def test_a_metric_is_declared_once():
    with pytest.raises(ValueError, match="iopt_commits_total is declared twice"):
        Counter("iopt_commits_total", "again")


def test_every_metric_says_what_it_means_and_bears_our_prefix():
    for name, metric in CATALOGUE.items():
        assert name.startswith(("iopt_", "resilience4j_circuitbreaker_"))
        assert metric.meaning
        assert name.endswith("_total") == (metric.kind == "counter")


def test_both_expositions_parse_and_have_no_created_series():
    metrics.BUILD.set(("0.1.0",), 1)
    for accept, parse in (("", prometheus), ("application/openmetrics-text; version=1.0.0", openmetrics)):
        text, content_type = render(accept)
        assert ("openmetrics" in content_type) == bool(accept)
        names = {family.name for family in parse(text.decode())}
        assert "iopt_build_info" in names
        assert b"_created" not in text


def test_a_scrape_in_another_thread_meets_whole_label_sets(declare):
    counter = declare(Counter, "busy_total", "Busy", ("n",))
    failures: list[Exception] = []

    def scrape() -> None:
        try:
            for _ in range(20):
                render()
        except RuntimeError as error:
            failures.append(error)

    scraper = threading.Thread(target=scrape)
    scraper.start()
    n = 0
    while scraper.is_alive():
        counter.add((str(n % 5_000),))
        n += 1
    assert not failures
