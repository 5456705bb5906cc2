"""A real Prometheus scrapes the web server, and every query of the dashboard finds something there."""

import asyncio
import itertools
import json
import subprocess
from contextlib import suppress

import pytest
import pytest_asyncio
from msgspec.structs import replace

from app.domain.breakers.breaker import Policy
from app.domain.breakers.fleet import Totals
from app.domain.sagas.ids import saga_id
from app.domain.sagas.saga_state import Saga, State
from app.telemetry.metrics import CATALOGUE, Counter, Gauge, Histogram
from app.telemetry.metrics import CIRCUIT_BREAKER as R4J
from deploy.grafana import expressions
from tests.support.fleets import Row
from tests.support.prometheus import CONFIG, program, prometheus
from tests.support.resilience4j import dashboard_queries
from tests.support.web import OneWorker, site

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERIES = [expr.replace("$__rate_interval", "1m") for expr in expressions()]
COUNTED_IN_TABLES = {"iopt_sagas", "iopt_breaker_state", *(name for name in CATALOGUE if name.startswith(R4J))}


def busy_worker() -> OneWorker:
    worker = OneWorker()
    saga = Saga(
        saga="order",
        id=saga_id("order", "o-1"),
        version=1,
        key="o-1",
        run=1,
        state=State.RUNNING,
        seq=1,
        started_at=0,
        deadline_at=0,
        due_at=0,
        data=b"{}",
        origin_topic=None,
        origin_key=None,
    )
    row = Row(Policy(minimum_number_of_calls=1), service="payment-service")
    row.call("failure", 0)
    worker.tables["sagas"] = {saga.id: saga}
    worker.tables["breakers"] = {row.service: row.fleet}
    return worker


def count_everything() -> None:
    for name in CATALOGUE.keys() - COUNTED_IN_TABLES:
        metric = CATALOGUE[name]
        labels = tuple(f"a-{label}" for label in metric.labels)
        match metric:
            case Counter():
                metric.add(labels)
            case Gauge():
                metric.set(labels, 1)
            case Histogram():
                metric.observe(labels, metric.buckets[0])


def report(worker: OneWorker, calls: int) -> None:
    """So many calls of each kind, of 20 ms each."""
    [fleet] = worker.tables["breakers"].values()
    totals = Totals(calls, 20 * calls, calls, 20 * calls, calls, 20 * calls, calls)
    breakers = {name: replace(kept, totals=totals) for name, kept in fleet.breakers.items()}
    worker.tables["breakers"] = {"payment-service": replace(fleet, breakers=breakers)}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scraped(tmp_path_factory):
    """A Prometheus that scrapes a worker on which everything goes on all the time."""

    worker = busy_worker()

    async def go_on() -> None:
        for calls in itertools.count(1):
            count_everything()
            report(worker, calls)
            await asyncio.sleep(0.05)

    async with site(worker) as served:
        target = served.url.removeprefix("http://")
        async with prometheus(tmp_path_factory.mktemp("prometheus"), target) as found:
            work = asyncio.create_task(go_on())
            yield found
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work


async def until(question, within_s: float = 30):
    for _ in range(int(within_s * 10)):
        if answer := await question():
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"still nothing after {within_s} s")


async def test_it_scrapes_the_worker(scraped):
    async def healthy():
        return [target for target in await scraped.targets() if target["health"] == "up"]

    [target] = await until(healthy)
    assert target["scrapeUrl"].endswith("/actuator/prometheus")
    assert target["lastError"] == ""


@pytest.mark.parametrize("expr", QUERIES)
async def test_every_query_of_the_dashboard_finds_something(scraped, expr):
    assert await until(lambda: scraped.query(expr))


@pytest.mark.parametrize("expr", [expr for expr in dashboard_queries() if R4J in expr])
async def test_resilience4js_own_dashboard_finds_its_breakers_here(scraped, expr):
    assert await until(lambda: scraped.query(expr))


async def test_every_query_of_the_dashboard_is_valid(tmp_path):
    rules = [{"record": f"query:{n}", "expr": expr} for n, expr in enumerate(QUERIES)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = promtool("check", "rules", str(file))
    assert f"{len(QUERIES)} rules found" in checked


async def test_the_configuration_is_valid():
    assert "SUCCESS" in promtool("check", "config", str(CONFIG))


async def test_the_exposition_is_as_prometheus_wants_it():
    async with site(busy_worker()) as served:
        _, text = await served.text("/metrics")
    assert "# TYPE iopt_records_total counter" in text
    promtool("check", "metrics", text=text)


def promtool(*arguments: str, text: str | None = None) -> str:
    """Its output, once it has found nothing wrong."""
    done = subprocess.run([program("promtool"), *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
