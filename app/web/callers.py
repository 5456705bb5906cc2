"""/actuator/retries, /retryevents and the like: what settings name and clients report, in the shapes of Resilience4j's
endpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from aiohttp import web

from app.domain.client_events import TYPES
from app.engine.tail import Seen
from app.wire.topics import CLIENT_EVENTS

from .ask import asked, refuse_others
from .breaker_events import BUFFERED, OF_ALL, newest_of_each, zoned
from .problem import Handler, Problem, kafka_answering, reply
from .service import Service


class Family(NamedTuple):
    """An endpoint, the word of its list, and those of its events; `families` as the settings name them.

    `details`: whether an event has its error and the number of attempts.
    """

    names: str
    listed: str
    events: str
    told: str
    name: str
    families: tuple[str, ...]
    details: bool = False

    @property
    def types(self) -> tuple[str, ...]:
        return TYPES[self.families[0]]

    def configured(self, service: Service) -> set[str]:
        return {name for family in self.families for name in service.instances(family)}


FAMILIES = (
    Family("retries", "retries", "retryevents", "retryEvents", "retryName", ("retry",), details=True),
    Family(
        "ratelimiters", "rateLimiters", "ratelimiterevents", "rateLimiterEvents", "rateLimiterName", ("ratelimiter",)
    ),
    Family(
        "bulkheads",
        "bulkheads",
        "bulkheadevents",
        "bulkheadEvents",
        "bulkheadName",
        ("bulkhead", "thread-pool-bulkhead"),
    ),
    Family(
        "timelimiters", "timeLimiters", "timelimiterevents", "timeLimiterEvents", "timeLimiterName", ("timelimiter",)
    ),
)


class Told(NamedTuple):
    """`calls`: how many events of that type are told together; `attempts` and `error` are of the newest of them."""

    name: str
    type: str
    at: int
    calls: int
    attempts: int
    error: str | None

    def shown(self, family: Family) -> dict[str, Any]:
        """RetryEventDTO, RateLimiterEventDTO, BulkheadEventDTO or TimeLimiterEventDTO; `calls` is ours."""
        return {
            family.name: self.name,
            "type": self.type,
            "creationTime": zoned(self.at),
            **({"errorMessage": self.error, "numberOfAttempts": self.attempts} if family.details else {}),
            **({} if self.calls == 1 else {"calls": self.calls}),
        }


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
        yield web.get(f"/actuator/{family.events}", _every(family))
        yield web.get(f"/actuator/{family.events}/{{name}}", _of_one(family))
        yield web.get(f"/actuator/{family.events}/{{name}}/{{type}}", _of_one(family))


def _names(family: Family) -> Handler:
    async def names(request: web.Request) -> web.Response:
        refuse_others(request, ())
        service = asked(request)
        reported = {seen.value.name for seen in await _reported(service, family, None)}
        return reply({family.listed: sorted(family.configured(service) | reported)})

    return names


def _every(family: Family) -> Handler:
    async def every(request: web.Request) -> web.Response:
        refuse_others(request, ())
        return _reply(family, _newest(family, await _reported(asked(request), family, None)))

    return every


def _of_one(family: Family) -> Handler:
    async def of_one(request: web.Request) -> web.Response:
        refuse_others(request, ())
        name, type_ = request.match_info["name"], _wanted_type(request, family)
        reported = await _reported(asked(request), family, name)
        if not reported and name not in family.configured(asked(request)):
            raise Problem(404, f"no {name} among {family.names}", "name")
        return _reply(family, (told for told in _newest(family, reported) if type_ in (None, told.type)))

    return of_one


def _wanted_type(request: web.Request, family: Family) -> str | None:
    text = request.match_info.get("type")
    if text is not None and text.upper() not in family.types:
        raise Problem(400, f"type={text!r}: expected {', '.join(family.types)}", "type")
    return text.upper() if text else None


async def _reported(service: Service, family: Family, name: str | None) -> list[Seen]:
    """The newest records of one name, or of all; those under another key are passed over."""

    def wanted(seen: Seen) -> bool:
        return seen.value.family in family.families and seen.value.name == seen.key

    async with kafka_answering():
        return [*await service.newest(CLIENT_EVENTS, name, wanted, BUFFERED if name else OF_ALL)]


def _newest(family: Family, reported: Iterable[Seen]) -> list[Told]:
    return newest_of_each((told for seen in reported for told in _told_by(seen, family)), attrgetter("name"))


def _told_by(seen: Seen, family: Family) -> Iterator[Told]:
    """Types that are not known here are passed over."""
    said = seen.value
    for type_ in family.types:
        if calls := said.counts.get(type_, 0):
            attempts, error = (said.attempts or {}).get(type_, 0), (said.errors or {}).get(type_)
            yield Told(said.name, type_, seen.at, calls, attempts, error)


def _reply(family: Family, found: Iterable[Told]) -> web.Response:
    return reply({family.told: [told.shown(family) for told in found]})
