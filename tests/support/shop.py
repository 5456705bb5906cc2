"""An order saga in the driver, with the words of its story."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from agents.route import start_sagas
from agents.saga import run_sagas
from app.domain.retry import RetryPolicy
from app.domain.sagas.definition import Definition
from app.domain.sagas.messages import Command, Reply
from app.domain.sagas.participant import usual
from app.domain.sagas.route import routes_of
from app.engine.driver import Driver
from app.engine.processor import PROCESSORS
from app.wire.topics import (
    CALL_OUTCOMES,
    DEFINITIONS,
    DOMAIN_EVENTS,
    SAGA_EVENTS,
    SAGA_REPLIES,
    commands,
    domain_events,
    emitted,
)
from tables.route import routes
from tables.saga import participants, retries, sagas
from tests.support.orders import ORDER

ORDERS = domain_events("orders", ["order.created"])
TWICE = RetryPolicy(max_attempts=2, wait_ms=1_000)
SERVICES = ("inventory-service", "payment-service", "courier-service")


class Shop:
    """The driver, with the words of the story."""

    def __init__(self, careful: bool) -> None:
        self.careful = careful
        self.open(ORDER)

    def open(self, definition: Definition) -> None:
        self.driver = Driver(
            [each for each in PROCESSORS if each.run in (start_sagas, run_sagas)],
            {DOMAIN_EVENTS: [ORDERS]},
            {
                routes: routes_of([definition]).get,
                participants: usual,
                retries: dict.fromkeys(SERVICES, TWICE).get,
            },
            careful=self.careful,
        )
        self.driver.send(DEFINITIONS, definition.id, definition)

    def place(self, order: str = "o-1", total: str = "49.90") -> None:
        data = f'{{"orderId":"{order}","total":{total},"note":"ring twice"}}'.encode()
        self.driver.send(ORDERS, f"customer-of-{order}", data, [("ce_type", b"order.created"), ("ce_id", b"e-1")])

    def commands(self, service: str) -> list[Command]:
        return [typed.body for _, typed in self.driver.outputs(commands(f"{service}.commands"))]

    @property
    def newest(self) -> Command:
        sent = [fact.command_id for name, fact in self.facts if name == "step_sent"]
        everything = [command for service in SERVICES for command in self.commands(service)]
        return next(command for command in everything if command.command_id == sent[-1])

    def answer(self, outcome: str, to: Command | None = None, **more: Any) -> None:
        to = to or self.newest
        reply = Reply(command_id=to.command_id, saga_id=to.saga_id, outcome=outcome, **more)
        self.driver.send(SAGA_REPLIES, to.saga_id, reply)

    def done(self, data: str = "{}", to: Command | None = None) -> None:
        self.answer("done", to, data=Raw(data.encode()), duration_ms=12)

    @property
    def facts(self) -> list[tuple[str, Any]]:
        return [(typed.type.removeprefix("iopt.saga."), typed.body) for _, typed in self.driver.outputs(SAGA_EVENTS)]

    @property
    def story(self) -> list[str]:
        """As `done CHARGE`; sending goes without saying."""
        words = [(name.removeprefix("step_"), fact) for name, fact in self.facts if name != "step_sent"]
        return [f"{name} {fact.step or ''}".strip() for name, fact in words]

    @property
    def calls(self) -> list[tuple[str, str, str]]:
        return [(call.service, call.operation, call.outcome) for _, call in self.driver.outputs(CALL_OUTCOMES)]

    @property
    def emitted(self) -> list[tuple[str, str, Any]]:
        sent = self.driver.outputs(emitted("orders"))
        return [
            (key, typed.type, msgspec.json.decode(typed.body)) for key, typed in sent if typed.type != "order.created"
        ]

    def state(self, saga_id: str = "order/o-1") -> str | None:
        saga = self.driver.table(sagas).get(saga_id)
        return None if saga is None else saga.state

    def passed_over(self, reason: str) -> int:
        return sum(
            count for (_, fate, why), count in self.driver.fates.items() if (fate, why) == ("passed-over", reason)
        )
