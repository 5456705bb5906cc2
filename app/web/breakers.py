"""GET /actuator/circuitbreakers: as Resilience4j's CircuitBreakerEndpoint answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from app.domain.breaker import Policy
from app.domain.fleet import Observed
from app.domain.window import shown
from tables.breaker import breakers

from .ask import MOST, asked, refuse_others
from .problem import reply
from .service import Service


async def circuit_breakers(request: web.Request) -> web.Response:
    refuse_others(request, ())
    service = asked(request)
    found = {name: details(observed, service.policy(name)) for name, observed in every_breaker(service)}
    return reply({"circuitBreakers": found})


def every_breaker(service: Service) -> Iterator[tuple[str, Observed]]:
    after, more = "", True
    while more:
        page = service.scan(breakers, "", after, MOST, None)
        yield from page.items
        after, more = page.items[-1][0] if page.items else "", page.more


def details(observed: Observed, policy: Policy) -> dict[str, Any]:
    breaker = observed.breaker
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
