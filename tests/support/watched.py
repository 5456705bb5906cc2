"""A toy worker's HTTP: served as the product serves it, and asked by a test."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from app.config import load
from app.engine.service import Worker
from app.web.server import serve
from app.worker.answers import Answers
from tests.support.kafka import wait_for


@asynccontextmanager
async def serving(worker: Worker) -> AsyncIterator[None]:
    assert worker.port is not None
    settings = load()
    runner = await serve(Answers(worker, lambda: settings), "127.0.0.1", worker.port)
    yield
    await runner.cleanup()


class Health(NamedTuple):
    """As /actuator/health says it; `reasons` are those against liveness."""

    live: bool
    ready: bool
    reasons: list[str]
    noted: list[str]

    def says(self, *words: str) -> bool:
        """All of them in one note."""
        return any(all(word in note for word in words) for note in self.noted)


def health(port: int) -> Health:
    """Raises OSError where nobody answers yet."""
    parts = {part: get(port, f"/actuator/health/{part}") for part in ("liveness", "readiness")}
    (said,) = parts["liveness"][1]["components"].values()
    noted = get(port, "/actuator/health")[1]["components"]["tasks"]["details"]["noted"]
    live, ready = (parts[part][0] == 200 for part in ("liveness", "readiness"))
    return Health(live, ready, said.get("details", {}).get("reasons", []), noted)


def until(port: int, wanted: Callable[[Health], bool], what: str, within_s: float = 90.0) -> Health:
    found: list[Health] = []

    def met() -> bool:
        try:
            found.append(health(port))
        except OSError:
            return False
        return wanted(found[-1])

    try:
        wait_for(met, what, within_s)
    except AssertionError as error:
        raise AssertionError(f"{error}; the last was {found[-1:]}") from error
    return found[-1]


def get(port: int, path: str) -> tuple[int, Any]:
    """Status and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, msgspec.json.decode(refused.read())
