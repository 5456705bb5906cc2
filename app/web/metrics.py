"""/metrics, /actuator/prometheus: the catalogue as Prometheus reads it. /actuator/metrics: as Spring shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiohttp import web

from app.telemetry.metrics import CATALOGUE, SAGAS, Declared, Histogram, Labels, Summary, render
from tables.saga import sagas

from . import breaker_metrics
from .ask import asked
from .problem import Problem, reply
from .service import Service


async def prometheus(request: web.Request) -> web.Response:
    """Rendered in a thread: thousands of series would hold the loop for a tenth of a second."""
    look(asked(request))
    body, content_type = await asyncio.to_thread(render, request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})


async def names(_request: web.Request) -> web.Response:
    return reply({"names": sorted(CATALOGUE)})


async def one(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    metric = CATALOGUE.get(name)
    if metric is None:
        raise Problem(404, f"there is no metric {name!r}", "name")
    look(asked(request))
    wanted = _wanted(request, metric)
    samples = {labels: value for labels, value in metric.samples().items() if _fits(metric, labels, wanted)}
    if wanted and not samples:
        raise Problem(404, f"{name} has no series with these tags", "tag")
    statistic = {"counter": "COUNT", "gauge": "VALUE", "histogram": "COUNT", "summary": "COUNT"}[metric.kind]
    measurements = [{"statistic": statistic, "value": sum(samples.values())}]
    if isinstance(metric, Histogram | Summary):
        total = sum(value for labels, value in metric.totals().items() if labels in samples)
        measurements.append({"statistic": "TOTAL", "value": total})
    return reply(
        {
            "name": name,
            "description": metric.meaning,
            "baseUnit": metric.unit or None,
            "measurements": measurements,
            "availableTags": list(_tags(metric, samples, wanted)),
        }
    )


def look(service: Service) -> None:
    """What is counted in the tables and not by the way."""
    SAGAS.replace({(state,): n for state, n in service.tally(sagas).items()})
    breaker_metrics.look(service)


def _wanted(request: web.Request, metric: Declared) -> dict[str, str]:
    """`tag=topic:orders`, any number of times."""
    wanted: dict[str, str] = {}
    for text in request.query.getall("tag", []):
        name, colon, value = text.partition(":")
        if not colon or name not in metric.labels:
            raise Problem(400, f"tag={text!r}: expected name:value with a name of {list(metric.labels)}", "tag")
        wanted[name] = value
    return wanted


def _fits(metric: Declared, labels: Labels, wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= dict(zip(metric.labels, labels, strict=True)).items()


def _tags(metric: Declared, samples: Iterable[Labels], wanted: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name, values in zip(metric.labels, zip(*samples, strict=True), strict=False):
        if name not in wanted:
            yield {"tag": name, "values": sorted(set(values))}
