"""What still comes of a step that was given up or is on the way back: undone, even after the end (contract 3.4)."""

from __future__ import annotations

from collections.abc import Callable

from .compensation import undo_next
from .saga_state import ENDED, NO_DATA, Progress, StepState, fitting
from .turn import Answer, Turn

GIVEN_UP = frozenset({StepState.FAILED, StepState.IN_DOUBT})
BEHIND = frozenset({StepState.UNDOING, StepState.UNDONE, StepState.IN_DEBT})

Course = Callable[[Turn, int, Answer], None]


def course_of(progress: Progress, answer: Answer) -> Course | None:
    """None where it changes nothing."""
    state, done = progress.state, answer.outcome == "done"
    if answer.command.action == "undo":
        return _was_undone if done and state is StepState.IN_DEBT else None
    if done and state in GIVEN_UP:
        return _was_done
    if done and state in BEHIND and progress.result is None:
        return _had_a_result
    if answer.outcome == "unknown" and answer.command.action == "do" and state is StepState.FAILED:
        return _came_into_doubt
    return None


def _was_undone(turn: Turn, index: int, answer: Answer) -> None:
    """The undo was given up, and has happened all the same."""
    turn.tell_answer("step_undone", answer, "late")
    turn.progress(index, state=StepState.UNDONE)
    _go_on(turn)


def _was_done(turn: Turn, index: int, answer: Answer) -> None:
    turn.tell_answer("step_done", answer, "late")
    turn.progress(index, state=StepState.DONE, result=fitting(turn.saga, answer.data)[0])
    _go_on(turn)


def _had_a_result(turn: Turn, index: int, answer: Answer) -> None:
    """Its undo was sent already, and no other is."""
    turn.tell_answer("step_done", answer, "late")
    turn.progress(index, result=NO_DATA if turn.saga.state in ENDED else fitting(turn.saga, answer.data)[0])


def _came_into_doubt(turn: Turn, index: int, answer: Answer) -> None:
    """A command was read again after its `failed`, and may have happened then."""
    turn.tell_answer("step_in_doubt", answer, "late")
    turn.progress(index, state=StepState.IN_DOUBT, doubt=True)
    _go_on(turn)


def _go_on(turn: Turn) -> None:
    """With the way back, unless something is awaited."""
    if turn.saga.open is None:
        undo_next(turn)
