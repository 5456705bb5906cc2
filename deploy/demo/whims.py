"""What goes wrong in the demo, and for whom: drawn from the seed and the command, never from the clock or dice.

So one seed is one story: the same cards are declined, the same replies are lost, however long it
takes and however often a process is killed on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from deploy.demo.command import Command

REFUSALS = {
    "validate-inventory": (0.02, "out-of-stock"),
    "process-payment": (0.05, "card-declined"),
    "initiate-fulfillment": (0.03, "no-courier"),
}
ANSWERS_FAILED = range(400, 460)  # payment-service in thousandths of the run: certainly nothing done
SILENT = range(460, 475)  # and then away altogether
STILL_FAILING = (0.0, 1.0, 0.5, 0.2)  # by attempt
HICCUP = 0.005
NEVER_REFUNDED = 0.05
UNKNOWN = 0.01
KNEW_AFTER_ALL = 0.5
OVERTAKEN = 0.003
LOST, TWICE, LATE, SLOW = 0.01, 0.02, 0.023, 0.05  # upper ends of what a reply may meet
LATE_MS = 4_000  # later than the step waits


@dataclass(frozen=True, slots=True)
class Whims:
    seed: int
    orders: int

    def refusal(self, command: Command) -> str | None:
        """The code of a business refusal: the same for every attempt."""
        chance, code = REFUSALS.get(command.type, (0.0, ""))
        return code if self._draw("refusal", command.idempotency_key) < chance else None

    def fails(self, command: Command) -> bool:
        if command.type == "refund-payment":
            return self._draw("debt", command.idempotency_key) < NEVER_REFUNDED
        if command.type == "process-payment" and self._moment(command) in ANSWERS_FAILED:
            still = STILL_FAILING[min(command.attempt, len(STILL_FAILING) - 1)]
            return self._draw("outage", command.command_id) < still
        return self._draw("hiccup", command.command_id) < HICCUP

    def is_away(self, command: Command) -> bool:
        """The service does not even see the command."""
        return command.type == "process-payment" and command.attempt == 1 and self._moment(command) in SILENT

    def is_overtaken(self, command: Command) -> bool:
        """The `do` lies about in the service until its `undo` has come and gone."""
        return self._draw("overtaken", command.idempotency_key) < OVERTAKEN

    def leaves_unknown(self, command: Command) -> bool:
        return self._draw("unknown", command.command_id) < UNKNOWN

    def knew_after_all(self, command: Command) -> bool:
        """Whether what is reported as unknown has happened."""
        return self._draw("knew", command.command_id) < KNEW_AFTER_ALL

    def copies_ms(self, command: Command) -> tuple[int, ...]:
        """After how long each copy of the reply is sent; empty when it is lost."""
        luck = self._draw("reply", command.command_id)
        if luck < LOST:
            return ()
        if luck < TWICE:
            return (0, 300)
        if luck < LATE:
            return (LATE_MS,)
        return (int(100 + 700 * self._draw("slow", command.command_id)),) if luck < SLOW else (0,)

    def _moment(self, command: Command) -> int:
        """When in the run the order comes, in thousandths."""
        number = command.order_id.rpartition("-")[2]
        return int(number) * 1000 // self.orders if number.isdecimal() else 0

    def _draw(self, *what: str) -> float:
        digest = blake2b("\x00".join((str(self.seed), *what)).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64
