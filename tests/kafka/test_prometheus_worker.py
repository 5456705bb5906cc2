"""A real Prometheus scrapes a real worker, and the dashboard has something to show."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.kafka.test_prometheus import QUERIES
from tests.support.prometheus import Prometheus, prometheus

TOLD = (
    'iopt_sagas{state="COMPENSATED"} == 2',
    'iopt_records_total{topic="iopt.saga-replies", fate="processed"} > 0',
    "iopt_commit_seconds_count > 0",
    'iopt_tasks{state="ready"} == 12',
    "iopt_lag == 0",
    'iopt_breaker_state{breaker="payment-service", state="CLOSED"} == 1',
)


async def until_found(scraper: Prometheus, expr: str) -> list[float]:
    for _ in range(300):
        if found := await scraper.query(expr):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"nothing for {expr}")


@pytest.mark.asyncio
async def test_what_a_worker_did_is_what_prometheus_says(played: Any, tmp_path: Any) -> None:
    async with prometheus(tmp_path, f"127.0.0.1:{played.port}") as scraper:
        for expr in TOLD:
            assert await until_found(scraper, expr)
        for expr in QUERIES:
            await scraper.query(expr)
