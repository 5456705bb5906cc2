"""What a request asks for, checked."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection

from aiohttp import web

from .problem import Problem
from .service import Service

SERVICE = web.AppKey("service", Service)

LIMIT = 100
MOST = 1_000


def asked(request: web.Request) -> Service:
    return request.app[SERVICE]


def refuse_others(request: web.Request, known: Collection[str]) -> None:
    """Raises Problem for a parameter that nobody would look at."""
    for name in request.query:
        if name not in known:
            raise Problem(400, f"unknown parameter {name!r}: expected {', '.join(known) or 'none'}", name)


def limit(request: web.Request) -> int:
    text = request.query.get("limit", str(LIMIT))
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST)) and 1 <= int(text) <= MOST):
        raise Problem(400, f"limit={text!r}: expected a whole number from 1 to {MOST}", "limit")
    return int(text)


def cursor_after(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def after(request: web.Request) -> str:
    """The key after which the list goes on."""
    text = request.query.get("cursor", "")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Problem(400, f"cursor={text!r}: expected what `next` said", "cursor") from error
