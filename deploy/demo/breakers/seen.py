"""What the worker said of payment-service's breaker, as a reader of committed records hears it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka.structs import ConsumerRecord

from deploy.demo.breakers.payment import NAME, now_ms

STATES, TRANSITIONS = "iopt.breaker-states", "iopt.breaker-transitions"


class Said(NamedTuple):
    """`heard_at`: when it was read here, a little later than the callers could read it."""

    heard_at: int
    body: Mapping[str, Any]


@dataclass
class Seen:
    states: list[Said] = field(default_factory=list)
    transitions: list[Said] = field(default_factory=list)

    def tell(self, record: ConsumerRecord) -> None:
        if record.key != NAME.encode() or record.value is None:
            return
        said = Said(now_ms(), json.loads(record.value))
        if record.topic == STATES:
            self.states.append(said)
        elif said.body["from"] != said.body["to"]:
            self.transitions.append(said)

    def state(self, word: str, after: int = -1) -> Said | None:
        """The first of that state whose `seq` is above `after`."""
        return next((said for said in self.states if said.body["state"] == word and said.body["seq"] > after), None)

    def transition(self, seq: int) -> Said | None:
        """Into the state of that number."""
        return next((said for said in self.transitions if said.body["seq"] == seq), None)
