"""payment-service, over HTTP: it answers 503 while it is down, and notes who called it when."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web

NAME = "payment-service"


class Charge(NamedTuple):
    """`breaker`: the state that the caller's breaker had when it called."""

    at: int
    caller: str
    breaker: str
    done: bool


class Payment:
    def __init__(self) -> None:
        self.works = True
        self.charges: list[Charge] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its URL."""
        shop = web.Application()
        shop.router.add_post("/charges", self._charge)
        runner = web.AppRunner(shop, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/charges"
        finally:
            await runner.cleanup()

    def by(self, caller: str) -> list[Charge]:
        return [charge for charge in self.charges if charge.caller == caller]

    async def _charge(self, request: web.Request) -> web.Response:
        told = request.headers
        self.charges.append(Charge(now_ms(), told["x-caller"], told["x-breaker"], self.works))
        return web.Response(status=200 if self.works else 503)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
