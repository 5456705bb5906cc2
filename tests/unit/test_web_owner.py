"""Rule T2 over HTTP: whichever worker is asked, the owner answers; one hop, and within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.domain.sagas.saga_state import Saga, State
from app.web import owner
from app.web.service import Elsewhere
from tests.support.product import free_port
from tests.support.web import OneWorker, Site, site

KEY = "INV/2026/17"
PATH = "/sagas/order/INV%2F2026%2F17"
ID = "order/INV%2F2026%2F17"


def keeper() -> OneWorker:
    found = OneWorker()
    kept = Saga(
        saga="order",
        id=ID,
        version=1,
        key=KEY,
        run=1,
        state=State.RUNNING,
        seq=3,
        started_at=10,
        deadline_at=900_010,
        due_at=0,
        data=b"{}",
        origin_topic=None,
        origin_key=None,
    )
    found.tables["sagas"] = {ID: kept}
    return found


@asynccontextmanager
async def asked(of: str | None) -> AsyncIterator[Site]:
    """A worker that says of every saga that it is kept there."""
    worker = OneWorker()
    worker.elsewhere = {ID: Elsewhere(of), "order/nobody": Elsewhere(of)}
    async with site(worker) as found:
        yield found


async def test_t2_the_owner_answers_whoever_is_asked() -> None:
    async with site(keeper()) as there, asked(there.url) as here:
        assert await here.get(PATH) == await there.get(PATH)
        status, body = await here.get(PATH)
        assert (status, body["key"]) == (200, KEY)


async def test_t2_what_the_owner_does_not_know_is_not_found() -> None:
    async with site(keeper()) as there, asked(there.url) as here:
        problem = await here.problem("GET", "/sagas/order/nobody")
        assert (problem["status"], problem["detail"]) == (404, "there is no saga order/nobody")


async def test_t2_two_that_each_believe_the_other_has_it_ask_once() -> None:
    """The second one says that the first has it, instead of asking back."""
    worker = OneWorker()
    async with site(worker) as there, asked(there.url) as here:
        worker.elsewhere = {ID: Elsewhere(here.url)}
        problem = await here.problem("GET", PATH)
        assert problem["status"] == 503
        assert f"{ID} went to {here.url} at this moment" in problem["detail"]


async def test_t2_an_owner_that_is_not_there_is_named_and_the_question_may_come_again() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with asked(url) as here, here.request("GET", PATH) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert f"{ID} is kept by {url}, which does not answer" in (await answer.json(content_type=None))["detail"]


async def test_t2_an_owner_that_is_silent_is_waited_for_no_longer_than_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "PATIENCE_S", 0.2)
    silent = asyncio.Event()

    async def listen(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asked(f"http://127.0.0.1:{port}") as here, asyncio.timeout(3):
        problem = await here.problem("GET", PATH)
        assert problem["detail"].endswith("which does not answer: nothing within 0.2 s")
    silent.set()
    server.close()


async def test_t2_without_an_owner_the_question_may_come_again() -> None:
    async with asked(None) as here, here.request("GET", PATH) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert "by no worker that is known" in (await answer.json(content_type=None))["detail"]
