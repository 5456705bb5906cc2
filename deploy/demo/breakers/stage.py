"""The play: payment-service fails and recovers, and three services that call it stop and go on together."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from deploy.demo.breakers import told
from deploy.demo.breakers.checks import WITHIN_MS
from deploy.demo.breakers.payment import NAME, Payment, now_ms
from deploy.demo.breakers.seen import STATES, TRANSITIONS, Said, Seen
from deploy.demo.shop import check_fresh
from deploy.demo.stage import CHECKOUT, Broken, cancelled, until_ready, worker
from deploy.demo.watch import finish, follow, reader
from deploy.kafka import ports
from deploy.supervisor import Supervised

SETTINGS = Path(__file__).with_name("application.yml")
CALLERS = ("order-service", "billing-service", "refund-service")
CALLS = 8  # of each caller, while all is well: together more than the breaker's window
QUIET_MS = 600  # in which a caller that goes on calls twice
LOOK_S = 0.02
PATIENCE_S = 60.0


@dataclass
class Stage:
    """`say` is given each thing that was seen, when it was."""

    directory: Path
    kafka: str
    kills: bool
    say: Callable[[str], None]
    payment: Payment = field(default_factory=Payment)
    seen: Seen = field(default_factory=Seen)
    answers: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._port = ports.free(1)[0]
        self.worker = worker(self.directory, SETTINGS, self.kafka, self._port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/actuator"

    async def play(self) -> None:
        """Returns when all was seen, and the processes have stopped. Raises Broken and NotFresh."""
        await check_fresh(self.kafka)
        async with self.payment.serving() as payment:
            callers = [self._caller(name, payment) for name in CALLERS]
            show = asyncio.create_task(self._show(callers))
            working = asyncio.create_task(self.worker.run())
            try:
                await asyncio.wait((working, show), return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    raise Broken(f"{self.worker.log}: the process ended, exit code {working.result()}")
                await show
            finally:
                await cancelled(show, working)

    async def _show(self, callers: list[Supervised]) -> None:
        await until_ready(self._port, self.directory / "worker.log")
        self.say(f"a worker is ready; its breakers: curl {self.url}/circuitbreakers")
        async with reader(self.kafka, (STATES, TRANSITIONS)) as consumer:
            following = asyncio.create_task(follow(consumer, self.seen.tell, _nothing))
            calling = [asyncio.create_task(caller.run()) for caller in callers]
            try:
                await self._story()
            finally:
                await cancelled(following, *calling)
            await finish(consumer, self.seen.tell)

    async def _story(self) -> None:
        await self._all_is_well()
        opened = await self._it_opens()
        if self.kills:
            await self._the_worker_is_killed()
        await self._they_stop(opened)
        self.payment.works = True
        self.say(f"{NAME} works again; the breaker waits for {told.left_s(opened)} s more")
        if self.kills:
            await self._another_comes(opened)
        await self._it_closes(opened)
        await self._by_hand()
        await self._asked()

    async def _all_is_well(self) -> None:
        await self._until(lambda: all(len(self.payment.by(name)) >= CALLS for name in CALLERS), "calls of all callers")
        closed = await self._state("CLOSED")
        self.say(f"{len(self.payment.charges)} calls of {len(CALLERS)} services, all well; {told.state(closed)}")

    async def _it_opens(self) -> Said:
        self.payment.works = False
        self.say(f"{NAME} answers 503 from now on")
        opened = await self._state("OPEN")
        await self._until(lambda: self.seen.transition(opened.body["seq"]) is not None, "the transition to OPEN")
        self.say(f"the fleet's breaker opens: {told.state(opened)}")
        self.say(f"    {told.evidence(self.seen.transition(opened.body['seq']))}")
        return opened

    async def _the_worker_is_killed(self) -> None:
        self.worker.kill()
        await self._until(lambda: not self.worker.up.is_set(), "the worker to die")
        self.say("the worker is killed with -9")

    async def _they_stop(self, opened: Said) -> None:
        await self._quiet(opened)
        for name in CALLERS:
            self.say(f"    {told.stopped(name, self.payment.by(name), opened, self.changes(name))}")

    async def _another_comes(self, opened: Said) -> None:
        await self.worker.up.wait()
        await until_ready(self._port, self.directory / "worker.log")
        state = (await self._get("circuitbreakers"))["circuitBreakers"][NAME]["state"]
        self.say(f"    another worker is ready, and says: {state}")
        if state != "OPEN" and now_ms() < opened.body["until_at"]:
            self.wrong.append(f"after the kill the breaker is {state}; expected OPEN")

    async def _it_closes(self, opened: Said) -> None:
        half_open = await self._state("HALF_OPEN", opened)
        self.say(f"half open: {told.permits(half_open)}")
        self.say(f"    {told.calls_while_shut(self.payment.charges, opened, half_open)}")
        closed = await self._state("CLOSED", half_open)
        self.say(f"closed: {told.state(closed)}, after {told.trials(self.payment.charges)}")
        await self._calls_go_on("CLOSED")

    async def _by_hand(self) -> None:
        before = self.seen.states[-1]
        await self._post("OPEN")
        forced = await self._state("FORCED_OPEN", before)
        await self._quiet(forced)
        self.say(f"opened by hand: {told.state(forced)}")
        await self._post("CLOSED")
        closed = await self._state("CLOSED", forced)
        self.say(f"    {told.calls_while_shut(self.payment.charges, forced, closed)}")
        await self._calls_go_on("closed by hand")

    async def _calls_go_on(self, since: str) -> None:
        calls = len(self.payment.charges)
        await self._until(lambda: {call.caller for call in self.payment.charges[calls:]} >= set(CALLERS), "calls")
        self.say(f"{since}: all three services call again")

    async def _asked(self) -> None:
        for path in ("circuitbreakers", f"circuitbreakerevents/{NAME}"):
            self.answers |= await self._get(path)

    async def _quiet(self, shut: Said) -> None:
        """Until a caller that goes on would have been seen."""
        end_at = shut.heard_at + WITHIN_MS + QUIET_MS
        await self._until(lambda: now_ms() > end_at, "silence")

    async def _state(self, word: str, after: Said | None = None) -> Said:
        seq = after.body["seq"] if after else -1
        await self._until(lambda: self.seen.state(word, seq) is not None, f"{word} on {STATES}")
        found = self.seen.state(word, seq)
        assert found
        return found

    async def _until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                raise Broken(f"waited {PATIENCE_S:.0f} s for {what}")
            await asyncio.sleep(LOOK_S)

    async def _get(self, path: str) -> Any:
        self.say(f"curl {self.url}/{path}")
        return await self._request("GET", path)

    async def _post(self, state: str) -> None:
        body = json.dumps({"state": state})
        path = f"circuitbreakers/{NAME}"
        self.say(f"curl {self.url}/{path} -H 'Content-Type: application/json' -d '{body}'")
        said = await self._request("POST", path, data=body, headers={"Content-Type": "application/json"})
        self.say(f"    {said['currentState']}: {said['message']}")

    async def _request(self, method: str, path: str, **more: Any) -> Any:
        """Again while the worker says 503: not all of its tasks are ready."""
        deadline = time.monotonic() + PATIENCE_S
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.request(method, f"{self.url}/{path}", **more) as answer:
                    if answer.ok:
                        return await answer.json(content_type=None)
                    if answer.status != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                        raise Broken(f"{method} {path} answered {answer.status}: {await answer.text()}")
                await asyncio.sleep(LOOK_S)

    def changes(self, caller: str) -> list[dict[str, Any]]:
        """Of that caller's own breaker, as it told them."""
        lines = self._log(caller).read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _caller(self, name: str, payment: str) -> Supervised:
        what = ["-m", "deploy.demo.breakers.caller", "--kafka", self.kafka, "--payment", payment, "--name", name]
        return Supervised([sys.executable, *what], log=self._log(name), cwd=CHECKOUT)

    def _log(self, caller: str) -> Path:
        return self.directory / f"{caller}.log"


async def _nothing() -> None:
    pass
