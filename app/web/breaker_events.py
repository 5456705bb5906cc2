"""GET /actuator/circuitbreakerevents: as Resilience4j's CircuitBreakerEventsEndpoint answers, read from the topics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from aiohttp import web

from app.domain.breakers.breaker import EventType
from app.domain.breakers.calls import CallOutcome, Transition
from app.domain.breakers.published import STAYING
from app.domain.breakers.scopes import names_of, service_of
from app.domain.breakers.window import single
from app.engine.tail import Seen
from app.wire.topics import BREAKER_TRANSITIONS, CALL_OUTCOMES
from tables.breaker import breakers

from .ask import asked, refuse_others
from .breakers import configured
from .owner import Question, from_owner
from .problem import SOON, Problem, kafka_answering, reply
from .service import Elsewhere, Restoring, Service

T = TypeVar("T")
BUFFERED = 100  # eventConsumerBufferSize
OF_ALL = 2_000  # records of a partition that are read for the events of all breakers
TYPES: Mapping[str, EventType] = {
    "success": EventType.SUCCESS,
    "slow_success": EventType.SUCCESS,
    "failure": EventType.ERROR,
    "slow_failure": EventType.ERROR,
    "timeout": EventType.ERROR,
    "slow_timeout": EventType.ERROR,
    "ignored": EventType.IGNORED_ERROR,
    "rejected": EventType.NOT_PERMITTED,
}
CAUSES: Mapping[str, EventType] = {cause: type_ for type_, cause in STAYING.items()}


class Told(NamedTuple):
    """`calls`: how many are folded into it; None for one that was reported alone."""

    breaker: str
    type: EventType
    at: int
    error: str | None = None
    duration_ms: int | None = None
    change: str | None = None
    calls: int | None = None

    def shown(self) -> dict[str, Any]:
        """CircuitBreakerEventDTO; `calls` is ours."""
        return {
            "circuitBreakerName": self.breaker,
            "type": self.type,
            "creationTime": zoned(self.at),
            "errorMessage": self.error,
            "durationInMs": self.duration_ms,
            "stateTransition": self.change,
            **({} if self.calls is None else {"calls": self.calls}),
        }


async def every(request: web.Request) -> web.Response:
    refuse_others(request, ())
    return _reply(await _newest(asked(request), None))


async def of_one(request: web.Request) -> web.Response:
    refuse_others(request, ())
    name, service, type_ = request.match_info["name"], asked(request), wanted_type(request)
    found = await _newest(service, name)
    if not found and (elsewhere := await unless_known(request, name)):
        return elsewhere
    return _reply(told for told in found if type_ in (None, told.type))


def wanted_type(request: web.Request) -> EventType | None:
    text = request.match_info.get("type")
    if text is None:
        return None
    try:
        return EventType(text.upper())
    except ValueError as error:
        raise Problem(400, f"type={text!r}: expected {', '.join(EventType)}", "type") from error


async def unless_known(request: web.Request, name: str) -> web.Response | None:
    """What the owner says of a breaker that it does not know either. Raises Problem where nobody does."""
    service = asked(request)
    if name in configured(service):
        return None
    found = service.read(breakers, service_of(name))
    if isinstance(found, Elsewhere):
        question = Question(f"/actuator/circuitbreakerevents/{quote(name, '')}")
        answer = await from_owner(request, name, found.owner, question)
        return None if answer.status == 200 else answer  # noqa: PLR2004
    if isinstance(found, Restoring):
        raise Problem(503, f"{name} is being restored by this worker: ask again later", headers=SOON)
    if found.value is None or name not in found.value.breakers:
        raise Problem(404, f"there is no breaker {name}", "name")
    return None


def told_by(seen: Seen, service: Service) -> Iterator[Told]:
    """What a record says, as Resilience4j's events."""
    match seen.value:
        case Transition() as change:
            if type_ := CAUSES.get(change.cause):
                yield Told(change.breaker, type_, change.at)
            if type_ is EventType.FAILURE_RATE_EXCEEDED and change.changes and _slow(change, service):
                yield Told(change.breaker, EventType.SLOW_CALL_RATE_EXCEEDED, change.at)
            if change.changes:
                to = f"{change.from_}_TO_{change.to}"
                yield Told(change.breaker, EventType.STATE_TRANSITION, change.at, change=to)
        case CallOutcome() as call:
            kept = service.scopes(call.service).kept
            for name in names_of(call.service, call.operation, call.instance, call.caller, kept):
                yield from _ended(call, name, seen.at)


def _slow(change: Transition, service: Service) -> bool:
    """Whether that rate was exceeded, too, as far as the policy is still known by which it was judged."""
    policy = service.policy(change.breaker)
    known = policy.config_version == change.config_version
    return known and single(change.slow_call_rate) >= single(policy.slow_call_rate_threshold)


def _ended(call: CallOutcome, name: str, at: int) -> Iterator[Told]:
    if call.outcome is not None:
        if type_ := TYPES.get(call.outcome):
            permitted = type_ is not EventType.NOT_PERMITTED
            yield Told(name, type_, at, _error(call, type_), (call.duration_ms or 0) if permitted else None)
        return
    calls: dict[EventType, int] = defaultdict(int)
    for kind, type_ in TYPES.items():
        calls[type_] += (call.counts or {}).get(kind, 0)
    for type_, count in calls.items():
        if count:
            yield Told(name, type_, at, _error(call, type_), calls=count)


def _error(call: CallOutcome, type_: EventType) -> str | None:
    if type_ not in (EventType.ERROR, EventType.IGNORED_ERROR):
        return None
    return call.error or call.outcome


async def _newest(service: Service, name: str | None) -> list[Told]:
    """The newest BUFFERED of each breaker, or of one, the oldest first; calls before the change that they brought."""
    key, most = (service_of(name), BUFFERED) if name else (None, OF_ALL)

    def wanted(seen: Seen) -> bool:
        return name is None or any(told.breaker == name for told in told_by(seen, service))

    async with kafka_answering():
        calls = await service.newest(CALL_OUTCOMES, key, wanted, most)
        changes = await service.newest(BREAKER_TRANSITIONS, name, wanted, most)
    events = (told for each in (*calls, *changes) for told in told_by(each, service) if name in (None, told.breaker))
    return newest_of_each(events, attrgetter("breaker"))


def newest_of_each(events: Iterable[T], name: Callable[[T], str]) -> list[T]:
    """The newest BUFFERED (by `at`) under each name, the oldest first."""
    kept, counts = list[T](), Counter[str]()
    ordered = sorted(events, key=attrgetter("at"))
    for told in reversed(ordered):
        counts[name(told)] += 1
        if counts[name(told)] <= BUFFERED:
            kept.append(told)
    return kept[::-1]


def zoned(at: int) -> str:
    """As java.time.ZonedDateTime prints an instant in the zone UTC: no more of the time than it has."""
    second, ms = divmod(at, 1000)
    text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return (f"{text}.{ms:03}" if ms else text.removesuffix(":00")) + "Z[UTC]"


def _reply(found: Iterable[Told]) -> web.Response:
    return reply({"circuitBreakerEvents": [told.shown() for told in found]})
