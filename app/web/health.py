"""/actuator, /actuator/health and below, /actuator/info: as Spring Boot's actuator shapes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from . import callers
from .ask import asked
from .problem import reply
from .service import Component, Status

GROUPS = ["liveness", "readiness"]
LINKS = {
    "self": "/actuator",
    "health": "/actuator/health",
    "health-path": "/actuator/health/{*path}",
    "info": "/actuator/info",
    "metrics": "/actuator/metrics",
    "metrics-requiredMetricName": "/actuator/metrics/{requiredMetricName}",
    "prometheus": "/actuator/prometheus",
    "circuitbreakers": "/actuator/circuitbreakers",
    "circuitbreakers-name": "/actuator/circuitbreakers/{name}",
    "circuitbreakerevents": "/actuator/circuitbreakerevents",
    "circuitbreakerevents-name": "/actuator/circuitbreakerevents/{name}",
    "circuitbreakerevents-name-eventType": "/actuator/circuitbreakerevents/{name}/{eventType}",
    "streamcircuitbreakerevents": "/actuator/streamcircuitbreakerevents",
    "streamcircuitbreakerevents-name": "/actuator/streamcircuitbreakerevents/{name}",
    "streamcircuitbreakerevents-name-eventType": "/actuator/streamcircuitbreakerevents/{name}/{eventType}",
    **callers.links(),
}


async def links(request: web.Request) -> web.Response:
    def link(path: str) -> dict[str, Any]:
        return {"href": f"{request.url.origin()}{path}", "templated": "{" in path}

    return reply({"_links": {name: link(path) for name, path in LINKS.items()}})


async def health(request: web.Request) -> web.Response:
    found = asked(request).health()
    components = {**found.components, "livenessState": found.liveness, "readinessState": found.readiness}
    status = worst(component.status for component in components.values())
    shown = {name: _shown(component) for name, component in sorted(components.items())}
    return reply({"status": status, "components": shown, "groups": GROUPS}, _code(status))


async def liveness(request: web.Request) -> web.Response:
    return _group("livenessState", asked(request).health().liveness)


async def readiness(request: web.Request) -> web.Response:
    return _group("readinessState", asked(request).health().readiness)


async def info(request: web.Request) -> web.Response:
    return reply(asked(request).info())


def worst(statuses: Iterable[Status]) -> Status:
    order = list(Status)
    return min(statuses, key=order.index, default=Status.UNKNOWN)


def _group(name: str, component: Component) -> web.Response:
    return reply({"status": component.status, "components": {name: _shown(component)}}, _code(component.status))


def _shown(component: Component) -> dict[str, Any]:
    return {"status": component.status, **({"details": component.details} if component.details else {})}


def _code(status: Status) -> int:
    return 503 if status in (Status.DOWN, Status.OUT_OF_SERVICE) else 200
