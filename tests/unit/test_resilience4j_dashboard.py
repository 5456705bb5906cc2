"""Resilience4j's public Grafana dashboard finds every name and label of circuit breakers that it asks for."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from app.domain.breakers.breaker import Breaker, State
from app.domain.breakers.fleet import Fleet, Kept, Totals
from app.domain.breakers.window import CountWindow
from tests.support.resilience4j import dashboard_queries, dashboard_variables
from tests.support.web import OneWorker, site

BREAKER = "resilience4j_circuitbreaker_"
OF_CALLERS = ("resilience4j_retry_", "resilience4j_bulkhead_", "jvm_")
OF_PROMETHEUS = {"instance"}  # a label that scraping adds
SELECTOR = re.compile(r"(\w+)\{([^}]*)\}")


def asked() -> list[tuple[str, set[str], dict[str, str]]]:
    """Metric, the labels that are asked for, and those of one value."""
    found = []
    for metric, selector in (pair for query in dashboard_queries() for pair in SELECTOR.findall(query)):
        matchers = re.findall(r'(\w+)=~?"([^"]*)"', selector)
        found.append((metric, {label for label, _ in matchers}, {la: va for la, va in matchers if va != ".*"}))
    for variable in dashboard_variables():
        [(metric, label)] = re.findall(r"label_values\((\w+),\s*(\w+)\)", variable)
        found.append((metric, {label}, {}))
    return found


BUSY = Kept(
    Breaker(State.HALF_OPEN, window=CountWindow(10, 3, 2, 2, 1, b"\x00\x02\x03"), not_permitted=5),
    totals=Totals(7, 3_500, 2, 60_000, 1, 20, 5),
)


@pytest.fixture
async def shown() -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """Values by labels, by metric."""
    worker = OneWorker()
    worker.tables["breakers"] = {"pay": Fleet({"pay": BUSY})}
    worker.named = {"circuitbreaker": ["ship"]}
    async with site(worker) as served:
        _, text = await served.text("/actuator/prometheus")
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for sample in (sample for family in families(text) for sample in family.samples):
        found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def test_the_dashboard_asks_for_breakers_and_for_what_callers_have_themselves() -> None:
    names = {metric for metric, _, _ in asked()}
    assert len({name for name in names if name.startswith(BREAKER)}) == 6
    assert all(name.startswith((BREAKER, *OF_CALLERS)) for name in names)


async def test_every_name_and_label_that_the_dashboard_asks_for_is_exposed(shown) -> None:
    for metric, labels, _ in asked():
        if metric.startswith(BREAKER):
            assert metric in shown
            for series in shown[metric]:
                assert labels - OF_PROMETHEUS <= dict(series).keys(), metric


async def test_every_state_that_the_dashboard_asks_for_is_one_of_the_values(shown) -> None:
    states = {dict(series)["state"] for series in shown[f"{BREAKER}state"]}
    assert states == {"closed", "open", "half_open", "forced_open", "disabled", "metrics_only"}
    for _, _, values in asked():
        assert set(values.get("state", "open").split("|")) <= states


async def test_values_are_those_of_the_row(shown) -> None:
    def of(metric: str, **labels: str) -> float:
        value: float = shown[f"{BREAKER}{metric}"][frozenset({"name": "pay", **labels}.items())]
        return value

    assert (of("state", state="half_open"), of("state", state="open")) == (1, 0)
    calls = {kind: (of("calls_seconds_count", kind=kind), of("calls_seconds_sum", kind=kind)) for kind in KINDS}
    assert calls == {"successful": (7, 3.5), "failed": (2, 60), "ignored": (1, 0.02)}
    assert of("not_permitted_calls_total", kind="not_permitted") == 5
    assert (of("buffered_calls", kind="failed"), of("buffered_calls", kind="successful")) == (2, 1)
    assert (of("slow_calls", kind="failed"), of("slow_calls", kind="successful")) == (1, 1)
    assert (of("failure_rate"), of("slow_call_rate")) == (-1, -1)
    assert of("max_buffered_calls") == 10


KINDS = ("successful", "failed", "ignored")


async def test_a_breaker_that_nobody_called_is_there_with_nothing(shown) -> None:
    assert shown[f"{BREAKER}state"][frozenset({("name", "ship"), ("state", "closed")})] == 1
    assert shown[f"{BREAKER}calls_seconds_count"][frozenset({("name", "ship"), ("kind", "failed")})] == 0
    assert shown[f"{BREAKER}max_buffered_calls"][frozenset({("name", "ship")})] == 100
