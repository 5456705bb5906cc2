"""Whichever worker is asked, the owner of the key answers: what another keeps is asked of that one, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, web
from yarl import URL

from .problem import SOON, Problem

CLIENT = web.AppKey("client", ClientSession)
HOP = "iopt-asked-by-worker"  # the owner asks nobody else
PATIENCE_S = 3.0
PASSED_ON = ("Content-Type", "Retry-After")

Answer = tuple[int, bytes, Mapping[str, str]]


class Question(NamedTuple):
    """The same request to another worker, or for another (encoded) `path`; `within_s` longer than usual is waited."""

    path: str = ""
    within_s: float = 0.0
    headers: Mapping[str, str] = {}


AS_IT_IS = Question()


async def client(app: web.Application) -> AsyncIterator[None]:
    async with ClientSession() as session:
        app[CLIENT] = session
        yield


async def from_owner(
    request: web.Request, wanted: str, owner: str | None, question: Question = AS_IT_IS
) -> web.Response:
    """What the worker at the URL `owner` answers. Raises Problem where there is none, or it does not answer."""
    if owner is None:
        raise Problem(503, f"{wanted} is kept by no worker that is known: ask again later", headers=SOON)
    if HOP in request.headers:
        raise Problem(503, f"{wanted} went to {owner} at this moment: ask again later", headers=SOON)
    status, body, found = await _ask(request, owner, f"{wanted} is kept by {owner}", question)
    return web.Response(body=body, status=status, headers={name: found[name] for name in PASSED_ON if name in found})


async def from_all(request: web.Request, others: Mapping[str, str]) -> list[Any]:
    """What each of those workers answers for its own part, as JSON. Raises Problem where one of them does not."""
    return await asyncio.gather(*(_part(request, name, url) for name, url in others.items()))


async def _part(request: web.Request, name: str, url: str) -> Any:
    if not url:
        raise Problem(503, f"a part is kept by the worker {name}, which has no HTTP", headers=SOON)
    status, body, _ = await _ask(request, url, f"a part is kept by {url}", AS_IT_IS)
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Problem(503, f"a part is kept by {url}, which answers {status}, and no JSON", headers=SOON) from error
    if status != 200:  # noqa: PLR2004
        detail = said.get("detail") if isinstance(said, dict) else None
        raise Problem(503, f"a part is kept by {url}, which answers {status}: {detail}", headers=SOON)
    return said


async def _ask(request: web.Request, url: str, who: str, question: Question) -> Answer:
    path = question.path or request.rel_url.raw_path
    at = URL(url).with_path(path, encoded=True).with_query(request.rel_url.query)
    patience_s = PATIENCE_S + question.within_s
    try:
        async with request.app[CLIENT].request(
            request.method,
            at,
            headers={HOP: "1", **question.headers},
            data=await request.read() or None,
            allow_redirects=False,
            timeout=ClientTimeout(total=patience_s),
        ) as answer:
            return answer.status, await answer.read(), answer.headers
    except (TimeoutError, ClientError) as error:
        why = str(error) or f"nothing within {patience_s:g} s"
        raise Problem(503, f"{who}, which does not answer: {why}", headers=SOON) from error
