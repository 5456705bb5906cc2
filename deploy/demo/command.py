"""Commands and replies as contract.md 3.2 and 3.3 have them, seen from a service that knows nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Headers = Sequence[tuple[str, bytes]]
Position = tuple[int, int]  # partition and offset


@dataclass(frozen=True, slots=True)
class Command:
    type: str
    body: Mapping[str, Any]
    position: Position
    trace: bytes | None = None

    @property
    def to(self) -> str:
        return str(self.body["to"])

    @property
    def command_id(self) -> str:
        return str(self.body["command_id"])

    @property
    def saga_id(self) -> str:
        return str(self.body["saga_id"])

    @property
    def reply_to(self) -> str:
        return str(self.body["reply_to"])

    @property
    def idempotency_key(self) -> str:
        return str(self.body["idempotency_key"])

    @property
    def action(self) -> str:
        return str(self.body["action"])

    @property
    def attempt(self) -> int:
        return int(self.body["attempt"])

    @property
    def deadline_at(self) -> int | None:
        deadline: int | None = self.body.get("deadline_at")
        return deadline

    @property
    def data(self) -> Mapping[str, Any]:
        data: Mapping[str, Any] = self.body["data"]
        return data

    @property
    def order_id(self) -> str:
        return str(self.data["orderId"])


@dataclass(frozen=True, slots=True)
class Reply:
    command: Command
    outcome: str
    data: Mapping[str, Any] | None = None
    code: str | None = None
    delay_ms: int = 0

    def value(self) -> bytes:
        body = self.command.body
        reply: dict[str, Any] = {
            "command_id": body["command_id"],
            "saga_id": body["saga_id"],
            "outcome": self.outcome,
            "data": self.data,
            "duration_ms": self.delay_ms,
            "reply_token": body["reply_token"],
        }
        if self.code is not None:
            reply["error"] = {"code": self.code, "message": f"{body['step']}: {self.code}", "retry_after_ms": None}
        return json.dumps(reply, separators=(",", ":")).encode()

    def headers(self, copy: int, now_ms: int) -> list[tuple[str, bytes]]:
        told = {
            "ce_specversion": "1.0",
            "ce_id": f"{self.command.command_id}/reply/{copy}",
            "ce_type": "iopt.saga.reply",
            "ce_source": f"/demo/{self.command.to}",
            "ce_subject": self.command.saga_id,
            "ce_time": rfc3339(now_ms),
            "content-type": "application/json",
        }
        trace = [("traceparent", self.command.trace)] if self.command.trace else []
        return [*((name, text.encode()) for name, text in told.items()), *trace]


def read(value: bytes, headers: Headers, position: Position) -> Command:
    """Numbers with a point stay what they were, to the last digit."""
    told = dict(headers)
    return Command(told["ce_type"].decode(), parse(value), position, told.get("traceparent"))


def parse(value: bytes | str) -> Any:
    return json.loads(value, parse_float=Decimal)


def rfc3339(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"
