"""The demo while it plays: services, the worker under a restarting loop, orders, kills, and waiting for every end."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from deploy.demo.shop import open_shop, send_orders
from deploy.demo.story import TOPICS, Story
from deploy.demo.watch import finish, follow, reader
from deploy.kafka import ports
from deploy.supervisor import Supervised

CHECKOUT = Path(__file__).resolve().parents[2]
SETTINGS = Path(__file__).with_name("application.yml")
READY_S = 90.0
QUIET_S = 90.0  # without a new fact, orders that have not ended are given up
ASK_S = 0.2
ENOUGH_FACTS = 20  # of a worker that was started again, before it is killed again


class Broken(Exception):
    """The demo could not be played to its end."""


@dataclass(frozen=True, slots=True)
class Plan:
    orders: int
    kills: int
    seed: int
    directory: Path

    @property
    def books(self) -> Path:
        return self.directory / "books"

    def kill_after(self) -> list[int]:
        """After how many orders the worker is killed: once in each of as many equal parts."""
        dice = Random(f"kills/{self.seed}")
        return [int(self.orders * (part + dice.random()) / self.kills) for part in range(self.kills)]


@dataclass
class Stage:
    """`watching` is called at every change, with how many orders were sent and how many have ended."""

    plan: Plan
    kafka: str
    watching: Callable[[int, int], None]
    story: Story = field(default_factory=Story)
    sent: int = 0
    kills: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self._port = ports.free(1)[0]
        self.worker = worker(self.plan.directory, SETTINGS, self.kafka, self._port)
        self.services = services(self.plan, self.kafka)

    async def play(self) -> None:
        """Returns when every order has ended and the processes have stopped. Raises Broken and NotFresh."""
        await open_shop(self.kafka)
        processes = [asyncio.create_task(process.run()) for process in (self.worker, self.services)]
        show = asyncio.create_task(self._show())
        try:
            await asyncio.wait({*processes, show}, return_when=asyncio.FIRST_COMPLETED)
            for process, name in zip(processes, ("worker", "participants"), strict=True):
                if process.done():
                    raise Broken(f"{self.plan.directory / name}.log: the process ended, exit code {process.result()}")
            await show
        finally:
            await cancelled(show, *processes)

    async def _show(self) -> None:
        await until_ready(self._port, self.plan.directory / "worker.log")
        async with reader(self.kafka, TOPICS) as consumer:
            following = asyncio.create_task(follow(consumer, self.story.tell, self._tell_news))
            killing = asyncio.create_task(self._kill())
            try:
                await send_orders(self.kafka, self.plan.seed, self.plan.orders, self._count)
                await self._until_ended()
            finally:
                await cancelled(killing, following)
            await finish(consumer, self.story.tell)

    async def _kill(self) -> None:
        """While work is in flight: some facts must have come from the worker that is to be killed."""
        killed_ms = 0
        for moment in self.plan.kill_after():
            await self._until(partial(self._is_in_flight, moment, killed_ms))
            await self._until(partial(self._has_facts, self.story.facts + ENOUGH_FACTS))
            self.kills += self.worker.kill()
            killed_ms = time.time_ns() // 1_000_000

    async def _until_ended(self) -> None:
        while (missing := self.plan.orders - len(self.story.endings)) > 0:
            try:
                await asyncio.wait_for(self._until(partial(self._has_facts, self.story.facts + 1)), QUIET_S)
            except TimeoutError as error:
                raise Broken(f"nothing has happened for {QUIET_S:.0f} s; {missing} orders have not ended") from error

    def _is_in_flight(self, sent: int, since_ms: int) -> bool:
        return self.sent >= sent and self.story.newest_at > since_ms

    def _has_facts(self, count: int) -> bool:
        return self.story.facts >= count

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with self._news:
            await self._news.wait_for(holds)

    async def _tell_news(self) -> None:
        self.watching(self.sent, len(self.story.endings))
        async with self._news:
            self._news.notify_all()

    def _count(self, sent: int) -> None:
        self.sent = sent


def worker(directory: Path, settings: Path, kafka: str, port: int) -> Supervised:
    told = {"IOPT_KAFKA": kafka, "IOPT_PORT": str(port), "IOPT_DATA_DIR": str(directory / "worker")}
    iopt = str(Path(sys.executable).with_name("iopt"))
    command = [iopt, "--config", str(settings), "worker"]
    return Supervised(command, os.environ | told, directory / "worker.log", CHECKOUT)


def services(plan: Plan, kafka: str) -> Supervised:
    what = ["-m", "deploy.demo.participants", "--kafka", kafka, "--books", str(plan.books)]
    drawn = ["--seed", str(plan.seed), "--orders", str(plan.orders)]
    return Supervised([sys.executable, *what, *drawn], log=plan.directory / "participants.log", cwd=CHECKOUT)


async def until_ready(port: int, log: Path) -> None:
    """Raises Broken."""
    url = f"http://127.0.0.1:{port}/actuator/health/readiness"
    deadline = time.monotonic() + READY_S
    async with aiohttp.ClientSession() as session:
        while not await _is_up(session, url):
            if time.monotonic() > deadline:
                raise Broken(f"{log}: not ready after {READY_S:.0f} s")
            await asyncio.sleep(ASK_S)


async def _is_up(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == HTTPStatus.OK
    except aiohttp.ClientError:
        return False


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
