"""Who may change anything over HTTP: whoever shows the token; without one, only where HTTP is bound to this host."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from aiohttp import web

from .ask import asked
from .problem import Handler, Problem
from .service import Door

SAFE = ("GET", "HEAD", "OPTIONS")
FOR = "iopt-asked-for"  # at the owner: whom the worker that asks speaks for
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="iopt"'}


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.method not in SAFE:
        _admit(request, asked(request).door())
    return await handler(request)


def principal(request: web.Request) -> str:
    """Who acts, once admitted; with a token, whoever has it. Only then is it believed for whom another worker asks."""
    token = asked(request).door().token
    whence = (request.headers.get(FOR) if token else None) or request.remote or "unknown"
    return f"{'token' if token else 'anonymous'}@{whence}"


def _admit(request: web.Request, door: Door) -> None:
    if not door.token:
        if not _local(door.host):
            raise Problem(
                403, f"bound to {door.host}: changes need a bearer token; set iopt.http-token (IOPT_HTTP_TOKEN)"
            )
        return
    shown = request.headers.get("Authorization", "").encode(errors="surrogateescape")
    scheme, _, token = shown.partition(b" ")
    if not hmac.compare_digest(token.strip(), door.token.encode()) or scheme.lower() != b"bearer":
        raise Problem(401, "expected `Authorization: Bearer <iopt.http-token>`", headers=CHALLENGE)


def _local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
