"""A worker for HTTP to ask: its tables are dicts, its health is what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from threading import Thread
from typing import Any, TypeVar

from aiohttp import ClientSession, web
from msgspec.structs import replace

from app.domain.audit import Audit
from app.domain.breakers.breaker import Breaker, Policy, State
from app.domain.breakers.calls import BreakerAct
from app.domain.breakers.fleet import Fleet, Kept
from app.domain.breakers.scopes import Scopes
from app.engine.processor import Table
from app.engine.tail import Seen
from app.web import breaker_acts
from app.web.server import serve
from app.web.service import Component, Door, Elsewhere, Health, Keepers, NotSent, Page, Restoring, Status, Stored
from app.wire.topics import AUDIT, Topic

S = TypeVar("S")
AS_OF_AT = 1_790_000_000_000
UP = Component(Status.UP)


class OneWorker:
    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, Policy] = {}
        self.named: dict[str, list[str]] = {}  # what settings name, by family
        self.scoped: dict[str, Scopes] = {}
        self.elsewhere: dict[str, Elsewhere | Restoring] = {}
        self.keeping = Keepers({}, ())
        self.says_door = Door()
        self.topics: dict[str, list[Seen]] = {}
        self.heard: list[Callable[[Seen], None]] = []
        self.kafka_answers = asyncio.Event()
        self.kafka_answers.set()
        self.acts: list[BreakerAct] = []
        self.acting: Callable[[BreakerAct], None] | None = lambda _: None  # None: Kafka takes nothing
        self.says = Health({"kafka": Component(Status.UP, {"brokers": 1})}, UP, UP)

    def health(self) -> Health:
        return self.says

    def info(self) -> Mapping[str, Any]:
        return {"app": {"name": "integration-optimization"}, "build": {"version": "0.1.0"}}

    def door(self) -> Door:
        return self.says_door

    def now_ms(self) -> int:
        return AS_OF_AT

    def policy(self, breaker: str) -> Policy:
        return self.policies.get(breaker, Policy())

    def scopes(self, service: str) -> Scopes:
        return self.scoped.get(service, Scopes())

    def instances(self, family: str) -> Sequence[str]:
        return self.named.get(family, ())

    def keepers(self, table: Table[Any]) -> Keepers:  # noqa: ARG002
        return self.keeping

    async def act(self, act: BreakerAct) -> None:
        await self.kafka_answers.wait()
        if self.acting is None:
            raise NotSent("no Kafka broker answers")
        self.acts.append(act)
        self.acting(act)

    async def newest(self, topic: Topic, key: str | None, wanted: Callable[[Seen], bool], most: int) -> Sequence[Seen]:
        await self.kafka_answers.wait()
        kept = self.topics.get(topic.name, [])
        return [seen for seen in kept if key in (None, seen.key) and wanted(seen)][-most:]

    @asynccontextmanager
    async def following(self, hand: Callable[[Seen], None]) -> AsyncIterator[None]:
        await self.kafka_answers.wait()
        self.heard.append(hand)
        yield
        self.heard.remove(hand)

    def hear(self, topic: Topic, key: str, value: Any, at: int = AS_OF_AT) -> None:
        """A new record of a topic."""
        seen = Seen(topic, key, value, at)
        self.topics.setdefault(topic.name, []).append(seen)
        for hand in self.heard:
            hand(seen)

    def read(self, table: Table[S], key: str) -> Stored[S] | Elsewhere | Restoring:
        return self.elsewhere[key] if key in self.elsewhere else Stored(self._rows(table).get(key), AS_OF_AT)

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


def obey(worker: OneWorker, act: BreakerAct, state: State | None = None, why: str | None = None) -> None:
    """`state` is that of the breaker by then; `why` it is refused."""
    kept = Kept(Breaker(state or breaker_acts.LEADS_TO[act.act]))
    met(worker, act, Fleet({act.breaker: kept}), why)


def met(worker: OneWorker, act: BreakerAct, fleet: Fleet, why: str | None = None) -> None:
    """The act is committed, and has left the breakers like this."""
    worker.tables.setdefault("breakers", {})[act.service] = replace(fleet, acts=(act.act_id,))
    told = Audit(
        act_id=act.act_id,
        actor=act.actor,
        claimed_actor=None,
        what=f"breaker.{act.act}",
        target=act.breaker,
        reason=act.reason,
        result="refused" if why else "applied",
        why=why,
        at=AS_OF_AT,
    )
    worker.hear(AUDIT, act.actor, told)


class Site:
    """One HTTP server and a client of it."""

    def __init__(self, runner: web.AppRunner, client: ClientSession) -> None:
        self.url = "http://{}:{}".format(*runner.addresses[0][:2])
        self._client = client

    def request(self, method: str, path: str, **asked: Any) -> Any:
        return self._client.request(method, self.url + path, **asked)

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self._client.get(self.url + path, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def text(self, path: str, **headers: str) -> tuple[str, str]:
        async with self._client.get(self.url + path, headers=headers) as response:
            return response.headers["Content-Type"], await response.text()

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        async with self._client.post(self.url + path, json=body, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def problem(self, method: str, path: str, **asked: Any) -> dict[str, Any]:
        async with self._client.request(method, self.url + path, **asked) as response:
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


class Beside:
    """A site that answers in a thread of its own, for what is no coroutine."""

    def __init__(self, worker: OneWorker) -> None:
        self._url: Future[str] = Future()
        self._loop, self._done = asyncio.new_event_loop(), asyncio.Event()
        self._thread = Thread(target=lambda: self._loop.run_until_complete(self._answer(worker)))
        self._thread.start()

    @property
    def url(self) -> str:
        return self._url.result()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._done.set)

    async def _answer(self, worker: OneWorker) -> None:
        async with site(worker) as here:
            self._url.set_result(here.url)
            await self._done.wait()

    def close(self) -> None:
        self.stop()
        self._thread.join()
        self._loop.close()


@contextmanager
def beside(worker: OneWorker) -> Iterator[Beside]:
    found = Beside(worker)
    try:
        yield found
    finally:
        found.close()
