"""GET /actuator/circuitbreakers: as Resilience4j's CircuitBreakerEndpoint answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from app.domain.breaker import Policy
from app.domain.fleet import Fleet, Kept
from app.domain.window import shown
from tables.breaker import breakers

from .ask import MOST, asked, refuse_others
from .problem import reply
from .service import Service


async def circuit_breakers(request: web.Request) -> web.Response:
    refuse_others(request, ())
    service = asked(request)
    found = {name: details(kept, service.policy(name)) for name, kept in every_breaker(service)}
    return reply({"circuitBreakers": found})


def every_breaker(service: Service) -> Iterator[tuple[str, Kept]]:
    for _, fleet in _fleets(service):
        yield from fleet.breakers.items()


def _fleets(service: Service) -> Iterator[tuple[str, Fleet]]:
    after, more = "", True
    while more:
        page = service.scan(breakers, "", after, MOST, None)
        yield from page.items
        after, more = page.items[-1][0] if page.items else "", page.more


def details(kept: Kept, policy: Policy) -> dict[str, Any]:
    breaker = kept.breaker
    failure_rate, slow_call_rate = breaker.window.rates(policy.minimum_number_of_calls)
    return {
        "failureRate": percent(shown(failure_rate)),
        "slowCallRate": percent(shown(slow_call_rate)),
        "failureRateThreshold": percent(policy.failure_rate_threshold),
        "slowCallRateThreshold": percent(policy.slow_call_rate_threshold),
        "bufferedCalls": breaker.window.buffered,
        "failedCalls": breaker.window.failed,
        "slowCalls": breaker.window.slow,
        "slowFailedCalls": breaker.window.slow_failed,
        "notPermittedCalls": breaker.not_permitted,
        "state": breaker.state,
    }


def percent(rate: float) -> str:
    return f"{float(rate)}%"
