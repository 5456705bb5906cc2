"""The forward way: one step after the other, each until it is done, not done or in doubt (contract 3.3 and 3.7)."""

from __future__ import annotations

from .attempts import again, error_of
from .compensation import compensate
from .ending import complete
from .ids import command_id
from .mapping import Unmapped
from .messages import Error
from .saga_state import DATA_BYTES, Open, Progress, StepState, fitting
from .sending import data_of, limit_at, send_do, send_query
from .turn import Answer, Turn

OUT_OF_TIME = Error("iopt.deadline", "the deadline has passed")


def proceed(turn: Turn) -> None:
    """Begin the next step, or end."""
    index = len(turn.saga.steps)
    if index == len(turn.definition.steps):
        return complete(turn)
    if turn.now_ms >= turn.saga.deadline_at:
        return compensate(turn, OUT_OF_TIME)
    step = turn.definition.steps[index]
    turn.begin(Progress(step.step, StepState.DOING, turn.now_ms, turn.now_ms))
    try:
        data = data_of(turn.saga, step)
    except Unmapped as error:
        return _unsendable(turn, index, Error("iopt.mapping", str(error)))
    if len(data) > DATA_BYTES:
        return _unsendable(turn, index, Error("iopt.too-large", f"data: {len(data)} bytes, at most {DATA_BYTES}"))
    return send_do(turn, index, 1, data)


def settle(turn: Turn, index: int, answer: Answer) -> None:
    """An answer to the step's `do`, or to its `query`."""
    match answer.outcome, answer.command.action:
        case "done", _:
            _done(turn, index, answer)
        case "refused", _:
            _refused(turn, index, answer)
        case "failed", "do":
            _failed(turn, index, answer)
        case "absent", _:
            _absent(turn, index, answer)
        case _, "do":
            _doubtful(turn, index, answer)
        case _:
            _unanswered(turn, index, answer)


def resume(turn: Turn, opened: Open) -> None:
    """A pause is over."""
    index = opened.index
    if turn.now_ms >= limit_at(turn, index):
        _give_up(turn, index, OUT_OF_TIME)
    elif opened.action == "query":
        send_query(turn, index, opened.tries + 1)
    else:
        _send_again(turn, index)


def _done(turn: Turn, index: int, answer: Answer) -> None:
    turn.report(index, answer, "success")
    turn.tell_answer("step_done", answer)
    result, too_large = fitting(turn.saga, answer.data)
    turn.progress(index, state=StepState.DONE, result=result)
    if too_large:
        compensate(turn, too_large)
    else:
        proceed(turn)


def _refused(turn: Turn, index: int, answer: Answer) -> None:
    turn.report(index, answer, "success")
    turn.tell_answer("step_refused", answer)
    turn.progress(index, state=StepState.REFUSED)
    compensate(turn, error_of(answer))


def _failed(turn: Turn, index: int, answer: Answer) -> None:
    turn.report(index, answer, "failure")
    turn.tell_answer("step_failed", answer)
    if not again(turn, answer, limit_at(turn, index)):
        _give_up(turn, index, error_of(answer))


def _absent(turn: Turn, index: int, answer: Answer) -> None:
    """None of the attempts so far has happened: all of them share the key that was asked for."""
    turn.tell_answer("step_failed", answer)
    turn.progress(index, doubt=False)
    attempt = turn.saga.steps[index].attempt
    attempts = turn.retry(turn.definition.steps[index], "do").max_attempts
    if attempt < attempts and turn.now_ms < limit_at(turn, index):
        _send_again(turn, index)
    else:
        _give_up(turn, index, error_of(answer))


def _doubtful(turn: Turn, index: int, answer: Answer) -> None:
    turn.report(index, answer, "timeout" if answer.outcome == "timeout" else "failure")
    turn.tell_answer("step_in_doubt", answer)
    turn.progress(index, doubt=True)
    limit = limit_at(turn, index)
    if turn.definition.steps[index].query and turn.now_ms < limit:
        send_query(turn, index, 1)
    elif not again(turn, answer, limit):
        _give_up(turn, index, error_of(answer))


def _unanswered(turn: Turn, index: int, answer: Answer) -> None:
    """The query did not help."""
    turn.tell_answer("step_failed" if answer.outcome == "failed" else "step_in_doubt", answer)
    if not again(turn, answer, limit_at(turn, index)):
        _give_up(turn, index, error_of(answer))


def _send_again(turn: Turn, index: int) -> None:
    data = data_of(turn.saga, turn.definition.steps[index])
    send_do(turn, index, turn.saga.steps[index].attempt + 1, data)


def _give_up(turn: Turn, index: int, error: Error) -> None:
    doubt = turn.saga.steps[index].doubt
    turn.progress(index, state=StepState.IN_DOUBT if doubt else StepState.FAILED)
    compensate(turn, error)


def _unsendable(turn: Turn, index: int, error: Error) -> None:
    command = command_id(turn.saga.id, turn.definition.steps[index].step, "do", turn.saga.run, 1)
    turn.tell("step_refused", command, outcome="refused", error=error)
    turn.progress(index, state=StepState.REFUSED)
    compensate(turn, error)
