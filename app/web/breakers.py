"""GET /actuator/circuitbreakers: as Resilience4j's CircuitBreakerEndpoint answers, of the breakers of all workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from app.domain.breakers.breaker import Metrics, Policy, State, begun
from app.domain.breakers.fleet import Fleet, Kept, metrics
from app.domain.breakers.scopes import scope_of, service_of
from app.domain.breakers.window import shown
from tables.breaker import breakers

from .ask import MOST, asked, refuse_others
from .owner import HOP, from_all
from .problem import SOON, Problem, reply
from .service import Service, Stored


async def circuit_breakers(request: web.Request) -> web.Response:
    refuse_others(request, ())
    service = asked(request)
    keepers = service.keepers(breakers)
    if keepers.waiting:
        raise Problem(503, f"{', '.join(keepers.waiting)}: not ready, ask again later", headers=SOON)
    found = {name: described(service, name, kept) for name, kept in own_breakers(service)}
    if HOP not in request.headers:
        for part in await from_all(request, keepers.others):
            found |= part["circuitBreakers"]
    return reply({"circuitBreakers": dict(sorted(found.items()))})


def own_breakers(service: Service) -> Iterator[tuple[str, Kept]]:
    """Of this worker's tasks: those that were called, and those that settings name."""
    for _, fleet in _fleets(service):
        yield from fleet.breakers.items()
    for name in configured(service):
        found = service.read(breakers, service_of(name))
        if isinstance(found, Stored) and (found.value is None or name not in found.value.breakers):
            yield name, uncalled(service, name)


def configured(service: Service) -> list[str]:
    """The breakers that settings name, and ask for."""
    names = service.instances("circuitbreaker")
    return sorted(name for name in names if scope_of(name) in service.scopes(service_of(name)).kept)


def uncalled(service: Service, name: str) -> Kept:
    return Kept(begun(service.policy(name), service.now_ms()))


def _fleets(service: Service) -> Iterator[tuple[str, Fleet]]:
    after, more = "", True
    while more:
        page = service.scan(breakers, "", after, MOST, None)
        yield from page.items
        after, more = page.items[-1][0] if page.items else "", page.more


def described(service: Service, name: str, kept: Kept) -> dict[str, Any]:
    policy = service.policy(name)
    return details(metrics(kept, service.now_ms(), policy), kept.breaker.state, policy)


def details(now: Metrics, state: State, policy: Policy) -> dict[str, Any]:
    """CircuitBreakerDetails."""
    return {
        "failureRate": percent(shown(now.failure_rate)),
        "slowCallRate": percent(shown(now.slow_call_rate)),
        "failureRateThreshold": percent(policy.failure_rate_threshold),
        "slowCallRateThreshold": percent(policy.slow_call_rate_threshold),
        "bufferedCalls": now.buffered,
        "failedCalls": now.failed,
        "slowCalls": now.slow,
        "slowFailedCalls": now.slow_failed,
        "notPermittedCalls": now.not_permitted,
        "state": state,
    }


def percent(rate: float) -> str:
    return f"{float(rate)}%"
