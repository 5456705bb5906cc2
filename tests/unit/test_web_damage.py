"""Rule R3 over HTTP: of a store that is damaged, or that goes away while it is read, no answer is wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from threading import Event, Lock
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import msgspec
import pytest

from app.domain.breakers.breaker import Breaker
from app.domain.breakers.calls import BreakerAct
from app.domain.breakers.fleet import Fleet, Kept
from app.domain.sagas.saga_state import State
from app.engine.engine import Engine
from app.engine.group.owned import Owned
from app.engine.state.rocks import Damaged, RocksStore
from app.engine.state.stored import NewerFormat, Unreadable
from app.web.service import Component, Health, NotNow, NotSent, Status
from app.worker.answers import STEP, Answers
from tables.breaker import breakers
from tables.saga import sagas
from tests.support.damage import flip
from tests.support.one_owner import OneOwner, running
from tests.support.web import Site, site
from tests.unit.test_web_sagas import saga

KEYS = [f"o-{n:02}" for n in range(60)]
SERVICES = [f"service-{n:02}" for n in range(60)]
HEALTHY = Component(Status.UP)


class Asked(Answers):
    """What is asked of stores alone; Kafka takes nothing."""

    def health(self) -> Health:
        return Health({}, HEALTHY, HEALTHY)

    async def act(self, act: BreakerAct) -> None:
        raise NotSent(act.breaker)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[OneOwner]:
    """Of each table a bit within the first half of its file is flipped: some of its states are in that block."""
    dice = random.Random(5)
    async with running(tmp_path) as whole:
        told = {key: saga(key, State.COMPLETED, error=None) for key in KEYS}
        kept = {f"order/{key}": msgspec.structs.replace(each, data=text(dice)) for key, each in told.items()}
        whole.keep("saga", sagas, kept)
        whole.keep("breaker", breakers, {name: fleet(name, dice) for name in SERVICES})
    for row in ("saga", "breaker"):
        (file,) = (tmp_path / f"{row}-0").glob("*.sst")
        flip(file, file.stat().st_size // 3)
    async with running(tmp_path) as damaged:
        yield damaged


def text(dice: random.Random) -> bytes:
    return b'"%s"' % dice.randbytes(300).hex().encode()


def fleet(name: str, dice: random.Random) -> Fleet:
    return Fleet({name: Kept(Breaker())}, acts=(dice.randbytes(300).hex(),))


@pytest.fixture
async def served(worker: OneOwner) -> AsyncIterator[Site]:
    async with site(cast(Any, Asked(cast(Any, worker), lambda: worker.settings))) as found:
        yield found


async def test_r3_each_saga_of_a_damaged_store_is_right_or_a_503_that_says_why(served: Site, worker: OneOwner) -> None:
    found = {key: await served.get(f"/sagas/order/{key}") for key in KEYS}
    right = {key: body for key, (status, body) in found.items() if status == 200}
    wrong = {key: body for key, (status, body) in found.items() if status != 200}
    assert right
    assert all((body["key"], body["state"]) == (key, "COMPLETED") for key, body in right.items())
    assert wrong
    for body in wrong.values():
        assert (body["status"], body["title"]) == (503, "Service Unavailable")
        assert body["detail"].startswith("the store of saga-0 cannot be read: Corruption: block checksum mismatch")
        assert body["detail"].endswith("it is being rebuilt, ask again later")
    assert len(worker.told) == len(wrong)
    assert {(owned, type(error)) for owned, error in worker.told} == {(worker.owned("saga"), Damaged)}


@pytest.mark.parametrize(
    ("path", "task"),
    [
        ("/sagas", "saga-0"),
        ("/sagas?saga=order&state=RUNNING", "saga-0"),
        ("/actuator/circuitbreakers", "breaker-0"),
    ],
)
async def test_r3_a_list_over_a_damaged_store_is_a_503_and_never_a_shorter_list(
    served: Site, path: str, task: str
) -> None:
    async with served.request("GET", path) as response:
        body = await response.json(content_type="application/problem+json")
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
    assert f"the store of {task} cannot be read: Corruption" in body["detail"]


async def test_r3_a_breaker_that_cannot_be_read_is_not_changed(served: Site) -> None:
    change = {"updateState": "CLOSE"}
    found = {name: await served.post(f"/actuator/circuitbreakers/{name}", change) for name in SERVICES}
    assert {status for status, _ in found.values()} == {503}
    sent = [name for name, (_, body) in found.items() if body["detail"] == name]
    unread = [name for name, (_, body) in found.items() if "breaker-0 cannot be read" in body["detail"]]
    assert unread
    assert sorted(sent + unread) == SERVICES


async def test_r3_health_and_metrics_are_told_all_the_same(served: Site) -> None:
    status, body = await served.get("/actuator/health")
    assert (status, body["status"]) == (200, "UP")
    kind, said = await served.text("/metrics")
    assert kind.startswith("text/plain")
    assert "iopt_records_total" in said
    assert "iopt_breaker_state{" not in said, "breakers are not told in part"


async def test_r3_a_store_that_was_rebuilt_before_says_what_is_left_to_do(served: Site, worker: OneOwner) -> None:
    worker.owned("saga").rebuilt = True
    _, body = await served.get("/sagas")
    assert body["detail"].endswith("; restart the worker")


@pytest.fixture
async def many(tmp_path: Path) -> AsyncIterator[OneOwner]:
    """More sagas than are read at a time."""
    async with running(tmp_path) as whole:
        whole.keep("saga", sagas, {f"order/o-{n:04}": saga(f"o-{n:04}") for n in range(STEP + 10)})
        yield whole


def between(store: RocksStore, happens: Callable[[], Any]) -> None:
    """After the first part of a list was read."""
    scan = store.scan

    def scanned(*asked: Any) -> Any:
        found = scan(*asked)
        store.scan = scan  # type: ignore[method-assign]
        happens()
        return found

    store.scan = scanned  # type: ignore[method-assign, assignment]


async def test_r3_a_list_whose_store_is_rebuilt_meanwhile_is_refused(many: OneOwner) -> None:
    owned = many.owned("saga")

    def rebuilt() -> None:
        owned.unready()
        owned.store.wipe()
        owned.arrived()

    between(owned.store, rebuilt)
    with pytest.raises(NotNow, match="saga-0 is being restored"):
        many.answers().scan(sagas, "", "", STEP + 10, None)


async def test_t3_a_list_whose_task_goes_to_another_worker_meanwhile_is_refused(many: OneOwner) -> None:
    owned = many.owned("saga")
    assert len(many.answers().scan(sagas, "", "", STEP + 10, None).items) == STEP + 10
    owned.store.close()
    with pytest.raises(NotNow, match="saga-0 went to another worker"):
        many.answers().scan(sagas, "", "", STEP + 10, None)


class Tried:
    """A lock that says when somebody has to wait for it."""

    def __init__(self) -> None:
        self._lock, self.waited_for = Lock(), Event()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.waited_for.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


async def test_r3_a_store_is_not_wiped_under_a_list_that_is_read(
    many: OneOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list's iterator would hold the lock of files that are gone: RocksDB would not open it again."""
    store, begun, tried = many.owned("saga").store, Event(), Tried()
    monkeypatch.setattr(store, "_scanning", tried)
    walk = store._walk

    def slowly(*asked: Any) -> Iterable[tuple[bytes, bytes]]:
        for row in walk(*asked):
            begun.set()
            assert tried.waited_for.wait(20)
            yield row

    monkeypatch.setattr(store, "_walk", slowly)
    listing = asyncio.ensure_future(asyncio.to_thread(store.scan, bytes([sagas.id]), b"", STEP))
    await asyncio.to_thread(begun.wait, 20)
    await asyncio.to_thread(store.wipe)
    assert len(await listing) == STEP
    assert store.scan(bytes([sagas.id]), b"", STEP) == []


class Met(NamedTuple):
    """What somebody who only looks met, and when."""

    ready: bool = True
    before: bool = False
    going: bool = False
    error: Unreadable = Damaged("Corruption")


@pytest.mark.parametrize(
    ("met", "mended"),
    [
        (Met(), True),
        (Met(ready=False), False),
        (Met(before=True), False),
        (Met(going=True), False),
        (Met(error=NewerFormat("table sagas: format 2")), False),
    ],
)
async def test_r3_who_only_looks_has_a_store_rebuilt_once_and_stops_nothing(
    tmp_path: Path, met: Met, mended: bool
) -> None:
    async with running(tmp_path) as worker:
        owned = worker.owned("saga")
        owned.rebuilt = met.before
        if not met.ready:
            owned.unready()
        rebuilt: list[Owned] = []
        rewinding = SimpleNamespace(going=met.going, rebuild=lambda one, _: rebuilt.append(one))
        Engine.mend(cast(Any, SimpleNamespace(_rewinding=rewinding)), owned, met.error)
        assert rebuilt == [owned] * mended
