"""One simulated service, keeping the duties of a participant (contract.md 3.5). Knows no Kafka."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from deploy.demo.command import Command, Position, Reply
from deploy.demo.ledger import Entry, Ledger, Outcome
from deploy.demo.whims import Whims

SKEW_MS = 1_000
UNDONE = Outcome("refused", code="iopt.undone")
UNDONE_NOTHING = Outcome("done")

# What a command moves: from which account to which, and the field that says how much (None: one).
MOVES: dict[str, tuple[str, str, str | None]] = {
    "validate-inventory": ("shelf", "reserved", "qty"),
    "update-inventory": ("reserved", "sold", "qty"),
    "process-payment": ("customer", "shop", "amount"),
    "initiate-fulfillment": ("courier", "booked", None),
}


class Participant:
    def __init__(self, name: str, ledger: Ledger, whims: Whims) -> None:
        self.name = name
        self.ledger = ledger
        self._whims = whims
        self._at_work: dict[str, list[Command]] = {}

    def take(self, commands: Iterable[Command], now_ms: int) -> list[Reply]:
        """What is to be answered, and when. All effects of the batch are in the books, or none."""
        with self.ledger.together():
            return [reply for command in commands if command.to == self.name for reply in self._take(command, now_ms)]

    def unfinished(self) -> list[Position]:
        """Where the commands lie that were taken and are still at work."""
        return [command.position for commands in self._at_work.values() for command in commands]

    def _take(self, command: Command, now_ms: int) -> list[Reply]:
        self.ledger.note_received(command)
        if command.action == "query":
            return self._query(command)
        known = self.ledger.first_outcome(command.idempotency_key)
        if known is not None:
            return self._sent(command, known)
        return self._undo(command) if command.action == "undo" else self._do(command, now_ms)

    def _do(self, command: Command, now_ms: int) -> list[Reply]:
        whims = self._whims
        if whims.is_away(command):
            return []
        if whims.is_overtaken(command):
            self._at_work.setdefault(command.idempotency_key, []).append(command)
            return []
        if command.deadline_at is not None and now_ms > command.deadline_at + SKEW_MS:
            return self._sent(command, Outcome("failed", code="iopt.expired"))
        if whims.fails(command):
            return self._sent(command, Outcome("failed", code="unavailable"))
        if whims.leaves_unknown(command):
            if whims.knew_after_all(command):
                self._settle(command)
            return self._sent(command, Outcome("unknown", code="connection-reset"))
        return self._sent(command, self._settle(command))

    def _settle(self, command: Command) -> Outcome:
        """Do it, or refuse it, for good."""
        code = self._whims.refusal(command)
        outcome = Outcome("refused", code=code) if code else Outcome("done", {"reference": _reference(command)})
        if outcome.outcome == "done":
            self.ledger.enter(_entry(command))
        self.ledger.remember(command.idempotency_key, outcome)
        return outcome

    def _undo(self, command: Command) -> list[Reply]:
        if self._whims.fails(command):
            return self._sent(command, Outcome("failed", code="unavailable"))
        undoes = str(command.body["undoes"])
        done = self.ledger.first_outcome(undoes)
        if done is None:
            self.ledger.remember(undoes, UNDONE)
        outcome = self._reverse(command, undoes) if done and done.outcome == "done" else UNDONE_NOTHING
        self.ledger.remember(command.idempotency_key, outcome)
        overtaken = self._at_work.pop(undoes, [])
        return [*self._sent(command, outcome), *(reply for do in overtaken for reply in self._sent(do, UNDONE))]

    def _reverse(self, command: Command, undoes: str) -> Outcome:
        for entry in self.ledger.entries_of(undoes):
            self.ledger.enter(
                Entry(command.idempotency_key, command.type, entry.order_id, entry.target, entry.source, entry.amount)
            )
        return Outcome("done", {"reference": _reference(command)})

    def _query(self, command: Command) -> list[Reply]:
        queried = str(command.body["queries"])
        if queried in self._at_work:
            return []
        return self._sent(command, self.ledger.first_outcome(queried) or Outcome("absent"))

    def _sent(self, command: Command, outcome: Outcome) -> list[Reply]:
        return [
            Reply(command, outcome.outcome, outcome.data, outcome.code, delay_ms)
            for delay_ms in self._whims.copies_ms(command)
        ]


def _entry(command: Command) -> Entry:
    source, target, field = MOVES[command.type]
    amount = Decimal(command.data[field]) if field else Decimal(1)
    return Entry(command.idempotency_key, command.type, command.order_id, source, target, amount)


def _reference(command: Command) -> str:
    return f"{command.type}/{command.order_id}"
