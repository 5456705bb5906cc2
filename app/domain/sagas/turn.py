"""One decision about one saga while it is being made: what it goes by, and what it will have done."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Raw, Struct
from msgspec.structs import replace

from ..breakers.calls import CallOutcome
from ..lookup import Lookup
from ..retry import UNDO_RETRY, RetryPolicy
from .definition import Definition, Step, definition_id
from .ids import CommandId
from .messages import Command, Error, Fact
from .participant import Participant, usual
from .saga_state import HISTORY_ENTRIES, NEVER, Entry, Open, Progress, Saga, Wait

CALLER = "iopt"


class Terms(NamedTuple):
    """What sagas are decided by, beside their state: where replies go, definitions, settings."""

    reply_to: str
    definitions: Lookup[Definition]
    participants: Lookup[Participant]
    retries: Lookup[RetryPolicy]


class Sent(Struct, frozen=True, gc=False):
    topic: str
    type: str
    command: Command


class Told(Struct, frozen=True, gc=False):
    type: str
    fact: Fact


class Emitted(Struct, frozen=True, gc=False):
    topic: str
    key: str
    saga_id: str
    type: str
    data: Raw
    id: str


Effect = Sent | Told | Emitted | CallOutcome


class Answer(Struct, frozen=True, gc=False):
    """What became of one command; `outcome` is a reply's, or `timeout` where there was none."""

    command: CommandId
    outcome: str
    data: bytes
    error: Error | None
    duration_ms: int


class Turn:
    """`saga` is replaced as the decision goes on; facts are numbered here, and folded in by `close`."""

    __slots__ = ("_entries", "_seq", "definition", "effects", "now_ms", "saga", "terms")

    def __init__(self, saga: Saga, now_ms: int, terms: Terms) -> None:
        self.saga = saga
        self.now_ms = now_ms
        self.terms = terms
        self.definition = terms.definitions[definition_id(saga.saga, saga.version)]
        self.effects: list[Effect] = []
        self._seq = saga.seq
        self._entries: list[Entry] = []

    def close(self) -> tuple[Saga, list[Effect]]:
        history = (*self.saga.history, *self._entries)[-HISTORY_ENTRIES:]
        return replace(self.saga, seq=self._seq, history=history), self.effects

    def tell(self, fact: str, command: CommandId | None = None, **told: Any) -> None:
        """`told`: the fields of a Fact that apply, beside those that name the command."""
        saga, step, attempt = self.saga, None, None
        if command is not None:
            text, _, step, action, _, attempt = command
            told.update(step=step, action=action, attempt=attempt, command_id=text)
        self._seq += 1
        body = Fact(
            saga=saga.saga,
            saga_id=saga.id,
            saga_version=saga.version,
            key=saga.key,
            seq=self._seq,
            state=saga.state.value,
            at=self.now_ms,
            run=saga.run,
            **told,
        )
        self.effects.append(Told(f"iopt.saga.{fact}", body))
        self._entries.append(Entry(fact, self.now_ms, step, attempt))

    def tell_answer(self, fact: str, answer: Answer, reason: str | None = None) -> None:
        self.tell(
            fact,
            answer.command,
            outcome=answer.outcome,
            error=answer.error,
            duration_ms=answer.duration_ms,
            reason=reason,
        )

    def report(self, index: int, answer: Answer, outcome: str) -> None:
        """The outcome of a call, for the participant's breaker; what queries say does not count."""
        if answer.command.action == "query":
            return
        step = self.definition.steps[index]
        self.effects.append(
            CallOutcome(
                service=self.participant(step).breaker,
                caller=CALLER,
                operation=step.command(answer.command.action),
                outcome=outcome,
                duration_ms=answer.duration_ms,
                error=answer.error.code if answer.error else None,
                at=self.now_ms,
            )
        )

    def open(self, opened: Open, until_ms: int, **progress: Any) -> None:
        """Await what was just sent, until then."""
        self.progress(opened.index, **progress)
        self.saga = replace(self.saga, open=opened, due_at=until_ms)

    def pause(self, opened: Open, wait: Wait, until_ms: int) -> None:
        self.saga = replace(self.saga, open=replace(opened, wait=wait), due_at=until_ms)

    def rest(self) -> None:
        """Nothing is awaited any more."""
        self.saga = replace(self.saga, open=None, due_at=NEVER)

    def progress(self, index: int, **changes: Any) -> None:
        steps = self.saga.steps
        changed = replace(steps[index], at=self.now_ms, **changes)
        self.saga = replace(self.saga, steps=(*steps[:index], changed, *steps[index + 1 :]))

    def begin(self, progress: Progress) -> None:
        self.saga = replace(self.saga, steps=(*self.saga.steps, progress))

    def participant(self, step: Step) -> Participant:
        return self.terms.participants.get(step.to) or usual(step.to)

    def retry(self, step: Step, action: str) -> RetryPolicy:
        if action == "undo":
            return step.undo_retry or UNDO_RETRY
        return step.retry or self.terms.retries.get(step.to) or RetryPolicy()
