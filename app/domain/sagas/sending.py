"""The three commands of a step: do, query, undo (contract 3.2)."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from .definition import Step
from .ids import command_id, idempotency_key
from .mapping import Unmapped, as_json, mapped, pick
from .messages import Command
from .saga_state import NO_DATA, Open, Saga, StepState, Wait
from .turn import Sent, Turn


def send_do(turn: Turn, index: int, attempt: int, data: bytes) -> None:
    deadline_at = _deadline_at(turn, index)
    opened = Open("do", index, attempt, Wait.REPLY, turn.now_ms)
    _send(turn, opened, deadline_at, data)
    turn.open(opened, deadline_at, attempt=attempt)


def send_query(turn: Turn, index: int, tries: int) -> None:
    """Queries are numbered through the whole step; `tries` counts those since the newest `do`."""
    deadline_at = _deadline_at(turn, index)
    opened = Open("query", index, turn.saga.steps[index].queries + 1, Wait.REPLY, turn.now_ms, tries)
    _send(turn, opened, deadline_at, data_of(turn.saga, turn.definition.steps[index]), queries=_key_of_do(turn, index))
    turn.open(opened, deadline_at, queries=opened.attempt)


def send_undo(turn: Turn, index: int, attempt: int) -> None:
    step = turn.definition.steps[index]
    opened = Open("undo", index, attempt, Wait.REPLY, turn.now_ms)
    result = Raw(turn.saga.steps[index].result or NO_DATA)
    _send(turn, opened, None, data_of(turn.saga, step), undoes=_key_of_do(turn, index), result=result)
    timeout_ms = step.timeout_ms if step.undo_timeout_ms is None else step.undo_timeout_ms
    turn.open(opened, turn.now_ms + timeout_ms, undos=attempt, state=StepState.UNDOING)


def data_of(saga: Saga, step: Step) -> bytes:
    """The data of the step's `do`, the same for every attempt. Raises Unmapped."""
    return saga.data if step.data is None else mapped(step.data, lambda path: known(saga, path))


def known(saga: Saga, path: tuple[str, ...]) -> Raw:
    """What `${...}` stands for. Raises Unmapped."""
    match path:
        case ("start", *rest):
            return pick(saga.data, rest)
        case ("steps", name, "data", *rest):
            results = [progress.result for progress in saga.steps if progress.step == name]
            if not results or results[0] is None:
                raise Unmapped(f"steps.{name}.data: not there")
            return pick(results[0], rest)
        case ("saga", str(word)):
            return as_json(_word(saga, word))
    raise Unmapped(f"{'.'.join(path)}: not there")


def _word(saga: Saga, word: str) -> str | int:
    words: dict[str, str | int] = {"id": saga.id, "name": saga.saga, "key": saga.key, "version": saga.version}
    return words[word]


def limit_at(turn: Turn, index: int) -> int:
    """When the forward way ends: the saga's deadline, or the step's before it."""
    deadline_ms = turn.definition.steps[index].deadline_ms
    if deadline_ms is None:
        return turn.saga.deadline_at
    return min(turn.saga.deadline_at, turn.saga.steps[index].begun_at + deadline_ms)


def _deadline_at(turn: Turn, index: int) -> int:
    return min(turn.now_ms + turn.definition.steps[index].timeout_ms, limit_at(turn, index))


def _key_of_do(turn: Turn, index: int) -> str:
    return idempotency_key(turn.saga.id, turn.definition.steps[index].step, "do", turn.saga.run)


def _send(turn: Turn, opened: Open, deadline_at: int | None, data: bytes, **extra: Any) -> None:
    saga, step = turn.saga, turn.definition.steps[opened.index]
    command = command_id(saga.id, step.step, opened.action, saga.run, opened.attempt)
    body = Command(
        command_id=command.text,
        to=step.to,
        saga=saga.saga,
        saga_id=saga.id,
        saga_version=saga.version,
        step=step.step,
        action=opened.action,
        run=saga.run,
        attempt=opened.attempt,
        idempotency_key=command.key,
        deadline_at=deadline_at,
        reply_to=turn.terms.reply_to,
        data=Raw(data),
        **extra,
    )
    turn.effects.append(Sent(turn.participant(step).commands, step.command(opened.action), body))
    turn.tell("step_sent", command)
