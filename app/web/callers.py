"""/actuator/retries, /retryevents and the like: what settings name, in the shapes of Resilience4j's endpoints.

Retries, bulkheads and limiters are the callers' own: no event of theirs is reported to a worker, so lists of events are
empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from aiohttp import web

from .ask import asked, refuse_others
from .problem import Handler, Problem, reply
from .service import Service


class Family(NamedTuple):
    """An endpoint, the word of its list, and that of its events; `families` as the settings name them."""

    names: str
    listed: str
    events: str
    told: str
    families: tuple[str, ...]
    types: tuple[str, ...]

    def known(self, service: Service) -> list[str]:
        return sorted({name for family in self.families for name in service.instances(family)})


FAMILIES = (
    Family(
        "retries", "retries", "retryevents", "retryEvents", ("retry",), ("RETRY", "ERROR", "SUCCESS", "IGNORED_ERROR")
    ),
    Family(
        "ratelimiters",
        "rateLimiters",
        "ratelimiterevents",
        "rateLimiterEvents",
        ("ratelimiter",),
        ("FAILED_ACQUIRE", "SUCCESSFUL_ACQUIRE", "DRAINED"),
    ),
    Family(
        "bulkheads",
        "bulkheads",
        "bulkheadevents",
        "bulkheadEvents",
        ("bulkhead", "thread-pool-bulkhead"),
        ("CALL_PERMITTED", "CALL_REJECTED", "CALL_FINISHED"),
    ),
    Family(
        "timelimiters",
        "timeLimiters",
        "timelimiterevents",
        "timeLimiterEvents",
        ("timelimiter",),
        ("SUCCESS", "TIMEOUT", "ERROR"),
    ),
)


def links() -> Mapping[str, str]:
    paths: dict[str, str] = {}
    for family in FAMILIES:
        paths[family.names] = f"/actuator/{family.names}"
        paths[family.events] = f"/actuator/{family.events}"
        paths[f"{family.events}-name"] = f"/actuator/{family.events}/{{name}}"
        paths[f"{family.events}-name-eventType"] = f"/actuator/{family.events}/{{name}}/{{eventType}}"
    return paths


def routes() -> Iterator[web.RouteDef]:
    for family in FAMILIES:
        yield web.get(f"/actuator/{family.names}", _names(family))
        yield web.get(f"/actuator/{family.events}", _events(family))
        yield web.get(f"/actuator/{family.events}/{{name}}", _events(family))
        yield web.get(f"/actuator/{family.events}/{{name}}/{{type}}", _events(family))


def _names(family: Family) -> Handler:
    async def names(request: web.Request) -> web.Response:
        refuse_others(request, ())
        return reply({family.listed: family.known(asked(request))})

    return names


def _events(family: Family) -> Handler:
    async def events(request: web.Request) -> web.Response:
        refuse_others(request, ())
        name, type_ = request.match_info.get("name"), request.match_info.get("type")
        if name is not None and name not in family.known(asked(request)):
            raise Problem(404, f"no {name} among {family.names}", "name")
        if type_ is not None and type_.upper() not in family.types:
            raise Problem(400, f"type={type_!r}: expected {', '.join(family.types)}", "type")
        return reply({family.told: []})

    return events
