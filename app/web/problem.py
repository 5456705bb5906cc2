"""Errors as RFC 9457 has them: `application/problem+json`, with the field that is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from .service import NotNow

KAFKA_S = 3.0
SOON: Mapping[str, str] = {"Retry-After": "1"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(Exception):
    """Ends a request."""

    def __init__(self, status: int, detail: str, field: str | None = None, headers: Mapping[str, str] = {}) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field, self.headers = status, detail, field, headers


@asynccontextmanager
async def kafka_answering() -> AsyncIterator[None]:
    """Raises Problem where it does not."""
    try:
        async with asyncio.timeout(KAFKA_S):
            yield
    except TimeoutError as error:
        raise Problem(503, f"Kafka does not answer within {KAFKA_S:g} s", headers=SOON) from error


def reply(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """aiohttp's own errors too: an unknown path, a method that it does not take."""
    try:
        return await handler(request)
    except Problem as problem:
        return _response(problem)
    except NotNow as not_now:
        return _response(Problem(503, str(not_now), headers=SOON))
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return _response(Problem(error.status, f"{request.path} takes {allowed}", headers={"Allow": allowed}))
    except web.HTTPNotFound as error:
        return _response(Problem(error.status, f"there is nothing at {request.path}"))
    except web.HTTPError as error:
        return _response(Problem(error.status, error.reason))


def _response(problem: Problem) -> web.Response:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.field is not None:
        body["field"] = problem.field
    return web.Response(
        body=msgspec.json.encode(body),
        status=problem.status,
        content_type="application/problem+json",
        headers=problem.headers,
    )
