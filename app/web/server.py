"""HTTP on a port of its own, up before anything is restored: a worker can be asked how it is at any time."""

from __future__ import annotations

from aiohttp import web

from . import breaker_acts, breaker_events, breaker_stream, breakers, callers, health, metrics, owner, sagas
from .ask import SERVICE
from .guard import guarded
from .problem import Handler, Problem, as_problems
from .service import Service

SHUTDOWN_S = 2.0


def application(service: Service) -> web.Application:
    app = web.Application(middlewares=[as_problems, guarded])
    app[SERVICE] = service
    app[breaker_stream.STREAM] = breaker_stream.Stream(service)
    app.cleanup_ctx.append(owner.client)
    app.on_shutdown.append(breaker_stream.close)
    app.add_routes(
        [
            web.get("/actuator", health.links),
            web.get("/actuator/health", health.health),
            web.get("/actuator/health/liveness", health.liveness),
            web.get("/actuator/health/readiness", health.readiness),
            web.get("/actuator/info", health.info),
            web.get("/actuator/metrics", metrics.names),
            web.get("/actuator/metrics/{name}", metrics.one),
            web.get("/actuator/prometheus", metrics.prometheus),
            web.get("/metrics", metrics.prometheus),
            web.get("/actuator/circuitbreakers", breakers.circuit_breakers),
            web.post("/actuator/circuitbreakers/{name}", breaker_acts.change),
            web.get("/actuator/circuitbreakerevents", breaker_events.every),
            web.get("/actuator/circuitbreakerevents/{name}", breaker_events.of_one),
            web.get("/actuator/circuitbreakerevents/{name}/{type}", breaker_events.of_one),
            web.get("/actuator/streamcircuitbreakerevents", breaker_stream.stream, allow_head=False),
            web.get("/actuator/streamcircuitbreakerevents/{name}", breaker_stream.stream, allow_head=False),
            web.get("/actuator/streamcircuitbreakerevents/{name}/{type}", breaker_stream.stream, allow_head=False),
            *callers.routes(),
            web.get("/sagas", sagas.listed),
            web.get("/sagas/{saga}/by-key", later("finding a saga by a key of any form")),
            web.get("/sagas/{saga}/{key}", sagas.one),
            web.get("/sagas/{saga}/{key}/history", later("the history of a saga")),
            web.post("/sagas/{saga}", later("starting a saga")),
            web.post("/sagas/{saga}/{key}/acts", later("acting on a saga")),
            web.get("/contract/asyncapi.yaml", later("serving the contract")),
        ]
    )
    return app


async def serve(service: Service, host: str = "127.0.0.1", port: int = 8104) -> web.AppRunner:
    """Raises OSError where the port is taken. The caller cleans the runner up; its `addresses` tell the port."""
    runner = web.AppRunner(application(service), access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner


def later(what: str) -> Handler:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        raise Problem(501, f"{what} is not available in this version")

    return refuse
