"""A worker for HTTP to ask: its tables are dicts, its health is what a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiohttp import ClientSession, web

from app.domain.breaker import Policy
from app.engine.processor import Table
from app.web.server import serve
from app.web.service import Component, Elsewhere, Health, Page, Status, Stored

S = TypeVar("S")
AS_OF_AT = 1_790_000_000_000
UP = Component(Status.UP)


class OneWorker:
    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, Policy] = {}
        self.elsewhere: dict[str, Elsewhere] = {}
        self.says = Health({"kafka": Component(Status.UP, {"brokers": 1})}, UP, UP)

    def health(self) -> Health:
        return self.says

    def info(self) -> Mapping[str, Any]:
        return {"app": {"name": "integration-optimization"}, "build": {"version": "0.1.0"}}

    def policy(self, service: str) -> Policy:
        return self.policies.get(service, Policy())

    def read(self, table: Table[S], key: str) -> Stored[S] | Elsewhere:
        return self.elsewhere.get(key) or Stored(self._rows(table).get(key), AS_OF_AT)

    def scan(self, table: Table[S], prefix: str, after: str, limit: int, mark: int | None) -> Page[S]:
        found = [
            (key, state)
            for key, state in sorted(self._rows(table).items())
            if key.startswith(prefix) and key > after and mark in (None, table.mark(state))
        ]
        return Page(found[:limit], len(found) > limit, AS_OF_AT)

    def tally(self, table: Table[Any]) -> Mapping[str, int]:
        states = self._rows(table).values()
        return {name: sum(table.mark(state) == mark for state in states) for mark, name in enumerate(table.marks)}

    def _rows(self, table: Table[S]) -> dict[str, S]:
        return self.tables.setdefault(table.name, {})


class Site:
    """One HTTP server and a client of it."""

    def __init__(self, runner: web.AppRunner, client: ClientSession) -> None:
        self.url = "http://{}:{}".format(*runner.addresses[0][:2])
        self._client = client

    def request(self, method: str, path: str) -> Any:
        return self._client.request(method, self.url + path)

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self._client.get(self.url + path, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def text(self, path: str, **headers: str) -> tuple[str, str]:
        async with self._client.get(self.url + path, headers=headers) as response:
            return response.headers["Content-Type"], await response.text()

    async def problem(self, method: str, path: str) -> dict[str, Any]:
        async with self._client.request(method, self.url + path) as response:
            assert response.content_type == "application/problem+json"
            found: dict[str, Any] = await response.json(content_type=None)
            assert found["status"] == response.status
            return found


@asynccontextmanager
async def site(worker: OneWorker) -> AsyncIterator[Site]:
    runner = await serve(worker, port=0)
    try:
        async with ClientSession() as client:
            yield Site(runner, client)
    finally:
        await runner.cleanup()
