"""Which replies count, and for what (contract 3.3): the rest is duplicate, late, misdirected or unknown-command."""

from __future__ import annotations

from msgspec import UNSET

from ..errors import PassedOver
from ..retry import LONGEST_PAUSE_MS
from . import late
from .compensation import settle_undo
from .forward import settle
from .ids import CommandId, parse_command_id
from .late import Course
from .messages import Error, Reply
from .saga_state import ID_BYTES, MESSAGE_BYTES, NO_DATA, Open, Progress, Saga, StepState, Wait
from .turn import Answer, Turn

LONGEST_MS = 2**53

_FINAL = frozenset({"done", "refused"})
_OUTCOMES = {"do": _FINAL | {"failed"}, "undo": _FINAL | {"failed"}, "query": _FINAL | {"failed", "absent"}}


def follow(turn: Turn, reply: Reply) -> None:
    """Raises PassedOver."""
    saga = turn.saga
    if reply.reply_token or not reply.command_id.startswith(f"{saga.id}:"):
        raise PassedOver("misdirected")
    command = parse_command_id(reply.command_id)
    if command is not None and command.run < saga.run:
        raise PassedOver("late")
    index = None if command is None else _index(saga, command)
    if command is None or index is None:
        return _unexpected(turn, reply)
    if reply.outcome == "accepted":
        raise PassedOver("accepted")
    answer = _answer(turn, reply, command)
    return _course(saga, index, answer)(turn, index, answer)


def _index(saga: Saga, command: CommandId) -> int | None:
    """Of the step that the command was sent for; None if it was never sent."""
    for index, progress in enumerate(saga.steps):
        if progress.step == command.step:
            return index if command.run == saga.run and command.attempt <= _attempts(progress, command.action) else None
    return None


def _attempts(progress: Progress, action: str) -> int:
    return {"do": progress.attempt, "query": progress.queries, "undo": progress.undos}[action]


def _course(saga: Saga, index: int, answer: Answer) -> Course:
    progress, command = saga.steps[index], answer.command
    if answer.outcome in _FINAL or _awaited(saga.open, index, command, Wait.REPLY):
        if command.action == "undo" and progress.state is StepState.UNDOING:
            return settle_undo
        if command.action != "undo" and progress.state is StepState.DOING:
            return settle
    if course := late.course_of(progress, answer):
        return course
    raise PassedOver("duplicate" if _settled(saga, index, command) else "late")


def _awaited(opened: Open | None, index: int, command: CommandId, wait: Wait) -> bool:
    return (
        opened is not None
        and opened.wait is wait
        and opened.attempt == command.attempt
        and opened.index == index
        and opened.action == command.action
    )


def _settled(saga: Saga, index: int, command: CommandId) -> bool:
    """An answer to this command, or to another attempt of it, was taken before."""
    progress = saga.steps[index]
    if command.action == "undo":
        settled = progress.state is StepState.UNDONE
    else:
        settled = progress.result is not None or progress.state is StepState.REFUSED
    return settled or _awaited(saga.open, index, command, Wait.PAUSE)


def _answer(turn: Turn, reply: Reply, command: CommandId) -> Answer:
    outcome = reply.outcome if reply.outcome in _OUTCOMES[command.action] else "unknown"
    data = NO_DATA if reply.data is UNSET else bytes(reply.data)
    error = None if reply.error is None or outcome == "done" else _clipped(reply.error)
    return Answer(command, outcome, data, error, _duration_ms(turn, reply))


def _duration_ms(turn: Turn, reply: Reply) -> int:
    if reply.duration_ms is not None and 0 <= reply.duration_ms < LONGEST_MS:
        return reply.duration_ms
    return turn.now_ms - turn.saga.open.sent_at if turn.saga.open else 0


def _clipped(error: Error) -> Error:
    after_ms = error.retry_after_ms
    if after_ms is not None:
        after_ms = min(max(after_ms, 0), LONGEST_PAUSE_MS)
    return Error(_clip(error.code, ID_BYTES), _clip(error.message, MESSAGE_BYTES), after_ms)


def _clip(text: str, limit_bytes: int) -> str:
    return text if len(text) * 4 <= limit_bytes else text.encode()[:limit_bytes].decode(errors="ignore")


def _unexpected(turn: Turn, reply: Reply) -> None:
    """An effect that nobody asked for is worth a fact; any other answer to it says nothing."""
    if reply.outcome != "done":
        raise PassedOver("unknown-command")
    turn.tell("unexpected_effect", outcome=reply.outcome, command_id=_clip(reply.command_id, ID_BYTES))
