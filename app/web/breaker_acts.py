"""POST /actuator/circuitbreakers/{name}: as Resilience4j's CircuitBreakerEndpoint, once the owner has committed it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, NamedTuple

import msgspec
from aiohttp import web

from app.domain.audit import Audit
from app.domain.breakers.breaker import State
from app.domain.breakers.calls import BreakerAct
from app.domain.breakers.fleet import Fleet
from app.domain.breakers.scopes import service_of
from app.engine.tail import Seen
from app.wire.topics import AUDIT
from tables.breaker import breakers

from .ask import asked, refuse_others
from .breakers import configured, uncalled
from .guard import FOR, principal
from .owner import Question, from_owner
from .problem import SOON, Problem, kafka_answering, reply
from .service import Elsewhere, NotNow, NotSent, Restoring, Service, Stored

Act = Literal["force-open", "close", "disable", "metrics-only", "reset"]

PATIENCE_S = 5.0
LONGEST_REASON = 1_000  # it is told in iopt.audit beside the act: near a record's limit it would be sent, and never act
AUDIT_S = 1.0  # until the audit shows what the row has met
LOOK_S = 0.02
SURELY_OLDER_MS = 60_000
ACTS: Mapping[str, Mapping[str, Act]] = {
    "updateState": {"CLOSE": "close", "FORCE_OPEN": "force-open", "DISABLE": "disable", "RESET": "reset"},
    "state": {
        "OPEN": "force-open",
        "FORCED_OPEN": "force-open",
        "CLOSED": "close",
        "DISABLED": "disable",
        "METRICS_ONLY": "metrics-only",
    },
}
LEADS_TO: Mapping[Act, State] = {
    "close": State.CLOSED,
    "force-open": State.FORCED_OPEN,
    "disable": State.DISABLED,
    "metrics-only": State.METRICS_ONLY,
    "reset": State.CLOSED,
}
TAKEN_ALONG = ("Authorization", "Content-Type")


class Wanted(NamedTuple):
    act: Act
    reason: str


async def change(request: web.Request) -> web.Response:
    refuse_others(request, ())
    name, service = request.match_info["name"], asked(request)
    wanted = await _wanted(request)
    found = service.read(breakers, service_of(name))
    if isinstance(found, Elsewhere):
        along = {header: request.headers[header] for header in TAKEN_ALONG if header in request.headers}
        along[FOR] = request.remote or ""
        return await from_owner(request, name, found.owner, Question(within_s=PATIENCE_S + AUDIT_S, headers=along))
    if isinstance(found, Restoring):
        raise Problem(503, f"{name} is being restored by this worker: ask again later", headers=SOON)
    if not _known(service, name, found.value):
        raise Problem(404, f"there is no breaker {name}", "name")
    return await _done(service, name, wanted, principal(request))


async def _done(service: Service, name: str, wanted: Wanted, actor: str) -> web.Response:
    act = BreakerAct(
        act_id=str(uuid.uuid4()),
        service=service_of(name),
        breaker=name,
        act=wanted.act,
        reason=wanted.reason,
        actor=actor,
        at=service.now_ms(),
    )
    try:
        async with kafka_answering():
            await service.act(act)
    except NotSent as error:
        raise Problem(503, str(error), headers=SOON) from error
    verdict, fleet = await _verdict(service, act), _fleet(service, act)
    kept = fleet.breakers.get(name) if fleet else None
    if verdict is None:
        state = (kept or uncalled(service, name)).breaker.state
        message = f"{name}: {act.act} was sent, and does not show after {PATIENCE_S:g} s; its act_id is {act.act_id}"
        return reply({"circuitBreakerName": name, "currentState": state, "message": message}, 202)
    if verdict.result == "refused":
        raise Problem(409, f"{act.act} was refused: {verdict.why}; its act_id is {act.act_id}")
    state = LEADS_TO[act.act]
    if fleet and not (kept and kept.breaker.state is state):
        stands = f"{name} is {kept.breaker.state}" if kept else f"there is no {name}"
        raise Problem(409, f"{stands}: {act.act} was done, and overtaken; its act_id is {act.act_id}")
    message = f"{name} state has been changed successfully"
    return reply({"circuitBreakerName": name, "currentState": state, "message": message})


async def _verdict(service: Service, act: BreakerAct) -> Audit | None:
    """What the audit says of it, once the row has met it: the row does not know what was refused."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE_S
    while True:
        fleet = _fleet(service, act)
        if (fleet and act.act_id in fleet.acts) or clock() >= deadline:
            break
        await asyncio.sleep(LOOK_S)
    with suppress(TimeoutError):
        async with asyncio.timeout(AUDIT_S):
            while True:
                if told := await _audited(service, act):
                    return told
                await asyncio.sleep(LOOK_S)
    return None


def _fleet(service: Service, act: BreakerAct) -> Fleet | None:
    """None where it went to another worker or cannot be read, too."""
    with suppress(NotNow):
        found = service.read(breakers, act.service)
        return found.value if isinstance(found, Stored) else None
    return None


async def _audited(service: Service, act: BreakerAct) -> Audit | None:
    """Its record; what is surely older ends the search."""

    def wanted(seen: Seen) -> bool:
        return seen.value.act_id == act.act_id or seen.at < act.at - SURELY_OLDER_MS

    found = await service.newest(AUDIT, act.actor, wanted, 1)
    return next((seen.value for seen in found if seen.value.act_id == act.act_id), None)


def _known(service: Service, name: str, fleet: Fleet | None) -> bool:
    return (fleet is not None and name in fleet.breakers) or name in configured(service)


async def _wanted(request: web.Request) -> Wanted:
    if not (request.content_type.endswith("json")):
        raise Problem(415, f"Content-Type {request.content_type}: expected application/json")
    try:
        said = msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON: {error}", "body") from error
    if not isinstance(said, dict):
        raise Problem(400, "the body: expected an object", "body")
    return Wanted(_act(said), _reason(said))


def _act(said: Mapping[str, Any]) -> Act:
    for name in said:
        if name not in (*ACTS, "reason"):
            raise Problem(400, f"unknown field {name!r}: expected {' or '.join(ACTS)}, and reason", name)
    keys = [key for key in ACTS if key in said]
    if len(keys) != 1:
        raise Problem(400, f"expected either {' or '.join(ACTS)}", keys[-1] if keys else "updateState")
    [key] = keys
    word = said[key]
    found = ACTS[key].get(word.upper()) if isinstance(word, str) else None
    if found is None:
        raise Problem(400, f"{key}={word!r}: expected {', '.join(ACTS[key])}", key)
    return found


def _reason(said: Mapping[str, Any]) -> str:
    reason = said.get("reason", "")
    if not isinstance(reason, str):
        raise Problem(400, f"reason={reason!r}: expected text", "reason")
    if len(reason) > LONGEST_REASON:
        raise Problem(400, f"reason: {len(reason)} characters, expected at most {LONGEST_REASON}", "reason")
    return reason
