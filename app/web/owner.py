"""Whichever worker is asked, the owner of the key answers: what another keeps is asked of that one, once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from yarl import URL

from .problem import Problem

CLIENT = web.AppKey("client", ClientSession)
HOP = "iopt-asked-by-worker"  # the owner asks nobody else
PATIENCE_S = 3.0
SOON: Mapping[str, str] = {"Retry-After": "1"}
PASSED_ON = ("Content-Type", "Retry-After")


async def client(app: web.Application) -> AsyncIterator[None]:
    async with ClientSession(timeout=ClientTimeout(total=PATIENCE_S)) as session:
        app[CLIENT] = session
        yield


async def from_owner(request: web.Request, wanted: str, owner: str | None) -> web.Response:
    """What the worker at the URL `owner` answers. Raises Problem where there is none, or it does not answer."""
    if owner is None:
        raise Problem(503, f"{wanted} is kept by no worker that is known: ask again later", headers=SOON)
    if HOP in request.headers:
        raise Problem(503, f"{wanted} went to {owner} at this moment: ask again later", headers=SOON)
    url = URL(owner).with_path(request.rel_url.raw_path, encoded=True).with_query(request.rel_url.query)
    try:
        async with request.app[CLIENT].get(url, headers={HOP: "1"}, allow_redirects=False) as answer:
            body = await answer.read()
    except (TimeoutError, ClientError) as error:
        why = str(error) or f"nothing within {PATIENCE_S:g} s"
        raise Problem(503, f"{wanted} is kept by {owner}, which does not answer: {why}", headers=SOON) from error
    headers = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
    return web.Response(body=body, status=answer.status, headers=headers)
