"""GET /sagas and /sagas/{saga}/{key}."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from app.domain.errors import BadKey
from app.domain.sagas.ids import command_id, saga_id
from app.domain.sagas.saga_state import STATES, Progress, Saga, StepState
from tables.saga import sagas

from .ask import after, asked, cursor_after, limit, refuse_others
from .owner import from_owner
from .problem import SOON, Problem, reply
from .service import Elsewhere, Restoring

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
MARKS: Mapping[str, int] = {state: mark for mark, state in enumerate(STATES)}
UNDO = (StepState.UNDOING, StepState.UNDONE, StepState.IN_DEBT)


async def listed(request: web.Request) -> web.Response:
    refuse_others(request, ("saga", "state", "limit", "cursor"))
    prefix = f"{_name(request.query['saga'], 'saga')}/" if "saga" in request.query else ""
    scan = asked(request).scan  # in a thread: with a state that few have, it may walk over all of them
    page = await asyncio.to_thread(scan, sagas, prefix, after(request), limit(request), _mark(request))
    return reply(
        {
            "items": [_row(saga) for _, saga in page.items],
            "next": cursor_after(page.items[-1][0]) if page.more else None,
            "as_of_at": page.as_of_at,
        }
    )


async def one(request: web.Request) -> web.Response:
    refuse_others(request, ())
    wanted = _saga_id(request)
    found = asked(request).read(sagas, wanted)
    if isinstance(found, Elsewhere):
        return await from_owner(request, wanted, found.owner)
    if isinstance(found, Restoring):
        raise Problem(503, f"{wanted} is being restored by this worker: ask again later", headers=SOON)
    if found.value is None:
        raise Problem(404, f"there is no saga {wanted}")
    return reply({**_row(found.value), "steps": _steps(found.value), "as_of_at": found.as_of_at})


def _saga_id(request: web.Request) -> str:
    try:
        return saga_id(_name(request.match_info["saga"], "saga"), request.match_info["key"])
    except BadKey as error:
        raise Problem(400, f"key: {error}", "key") from error


def _name(text: str, field: str) -> str:
    if not NAME.fullmatch(text):
        raise Problem(400, f"{field}={text!r}: expected a name like `order-2`: {NAME.pattern}", field)
    return text


def _mark(request: web.Request) -> int | None:
    state = request.query.get("state")
    if state is None:
        return None
    if state not in MARKS:
        raise Problem(400, f"state={state!r}: expected one of {', '.join(MARKS)}", "state")
    return MARKS[state]


def _row(saga: Saga) -> dict[str, Any]:
    return {
        "saga": saga.saga,
        "saga_id": saga.id,
        "key": saga.key,
        "saga_version": saga.version,
        "run": saga.run,
        "state": saga.state,
        "stuck": saga.stuck,
        "started_at": saga.started_at,
        "deadline_at": saga.deadline_at,
        "ended_at": saga.ended_at,
        "error": saga.error,
        "seq": saga.seq,
    }


def _steps(saga: Saga) -> list[dict[str, Any]]:
    return [
        {
            "step": step.step,
            "state": step.state,
            "attempt": step.attempt,
            "command_id": _newest_command(saga, index, step),
            "at": step.at,
        }
        for index, step in enumerate(saga.steps)
    ]


def _newest_command(saga: Saga, index: int, step: Progress) -> str:
    if saga.open is not None and saga.open.index == index:
        action, attempt = saga.open.action, saga.open.attempt
    elif step.state in UNDO:
        action, attempt = "undo", step.undos
    else:
        action, attempt = "do", step.attempt
    return command_id(saga.id, step.step, action, saga.run, attempt).text
