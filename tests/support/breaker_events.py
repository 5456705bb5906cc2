"""What a worker's topics say of calls and breakers, and what a listener hears of it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from app.domain.breakers.breaker import State
from app.domain.breakers.calls import CallOutcome, Sighting, Transition
from app.wire.topics import BREAKER_TRANSITIONS, CALL_OUTCOMES
from tests.support.web import AS_OF_AT, OneWorker


def call(worker: OneWorker, outcome: str, at: int = AS_OF_AT, service: str = "pay", **more: Any) -> None:
    worker.hear(CALL_OUTCOMES, service, CallOutcome(service=service, outcome=outcome, **more), at)


def folded(worker: OneWorker, **counts: int) -> None:
    worker.hear(CALL_OUTCOMES, "pay", CallOutcome(service="pay", counts=counts))


def move(worker: OneWorker, to: str, cause: str, at: int = AS_OF_AT, **more: Any) -> None:
    change = Transition(
        breaker="pay",
        service="pay",
        scope="service",
        from_=State.CLOSED,
        to=State(to),
        cause=cause,
        at=at,
        failure_rate=50.0,
        slow_call_rate=0.0,
        buffered_calls=2,
        failed_calls=1,
        slow_calls=0,
        first_failure=Sighting(),
        last_failure=Sighting(),
        config_version=1,
        seq=1,
    )
    worker.hear(BREAKER_TRANSITIONS, "pay", replace(change, **more), at)


class Listening:
    """The frames of one stream, as they come."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def frame(self) -> dict[str, str]:
        text = (await self.answer.content.readuntil(b"\n\n")).decode()
        return dict(line.split(":", 1) for line in text.strip().split("\n"))

    async def event(self) -> dict[str, str]:
        while (found := await self.frame()) == {"event": "ping"}:
            pass
        return found
