"""The way back: what is done or in doubt is undone, newest first; what cannot be undone is debt (contract 3.4)."""

from __future__ import annotations

from msgspec.structs import replace

from .attempts import again
from .ending import conclude
from .messages import Error
from .saga_state import State, StepState
from .sending import send_undo
from .turn import Answer, Turn

UNDOABLE = frozenset({StepState.DONE, StepState.IN_DOUBT})


def compensate(turn: Turn, error: Error) -> None:
    turn.saga = replace(turn.saga, state=State.COMPENSATING, error=error)
    turn.tell("compensating", error=error)
    undo_next(turn)


def undo_next(turn: Turn) -> None:
    steps = turn.saga.steps
    for index in range(len(steps) - 1, -1, -1):
        if steps[index].state in UNDOABLE and turn.definition.steps[index].undo:
            return send_undo(turn, index, 1)
    return conclude(turn)


def settle_undo(turn: Turn, index: int, answer: Answer) -> None:
    match answer.outcome:
        case "done":
            undone(turn, index, answer)
        case "refused":
            turn.report(index, answer, "success")
            turn.tell_answer("step_refused", answer)
            _owe(turn, index)
        case "failed":
            turn.report(index, answer, "failure")
            _undo_again(turn, index, answer, "step_failed")
        case _:
            turn.report(index, answer, "timeout" if answer.outcome == "timeout" else "failure")
            _undo_again(turn, index, answer, "step_in_doubt")


def undone(turn: Turn, index: int, answer: Answer) -> None:
    turn.report(index, answer, "success")
    turn.tell_answer("step_undone", answer)
    turn.progress(index, state=StepState.UNDONE)
    undo_next(turn)


def _undo_again(turn: Turn, index: int, answer: Answer, fact: str) -> None:
    turn.tell_answer(fact, answer)
    if not again(turn, answer, None):
        _owe(turn, index)


def _owe(turn: Turn, index: int) -> None:
    turn.progress(index, state=StepState.IN_DEBT)
    undo_next(turn)
