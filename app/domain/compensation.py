"""The way back: what is done or in doubt is undone, newest first; what cannot be undone is debt (contract 3.4)."""

from __future__ import annotations

from msgspec.structs import replace

from .attempts import again
from .ending import conclude
from .messages import Error
from .saga_state import ENDED, NO_DATA, State, StepState, fitting
from .sending import send_undo
from .turn import Answer, Turn

UNDOABLE = frozenset({StepState.DONE, StepState.IN_DOUBT})
GIVEN_UP = frozenset({StepState.FAILED, StepState.IN_DOUBT})


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


def settle_debt(turn: Turn, index: int, answer: Answer) -> None:
    """The undo was given up, and has happened all the same."""
    turn.tell_answer("step_undone", answer, "late")
    turn.progress(index, state=StepState.UNDONE)
    if turn.saga.open is None:
        undo_next(turn)


def came_late(turn: Turn, index: int, answer: Answer) -> None:
    """A `done` to a step that was given up; it is undone, even after the end, unless its undo was sent already."""
    turn.tell_answer("step_done", answer, "late")
    saga = turn.saga
    if saga.steps[index].state in GIVEN_UP:
        turn.progress(index, state=StepState.DONE, result=fitting(saga, answer.data)[0])
        if saga.open is None:
            undo_next(turn)
    else:
        turn.progress(index, result=NO_DATA if saga.state in ENDED else fitting(saga, answer.data)[0])


def came_into_doubt(turn: Turn, index: int, answer: Answer) -> None:
    """A command was read again after its `failed`, and may have happened then: it is undone, even after the end."""
    turn.tell_answer("step_in_doubt", answer, "late")
    turn.progress(index, state=StepState.IN_DOUBT, doubt=True)
    if turn.saga.open is None:
        undo_next(turn)


def _undo_again(turn: Turn, index: int, answer: Answer, fact: str) -> None:
    turn.tell_answer(fact, answer)
    if not again(turn, answer, None):
        _owe(turn, index)


def _owe(turn: Turn, index: int) -> None:
    turn.progress(index, state=StepState.IN_DEBT)
    undo_next(turn)
