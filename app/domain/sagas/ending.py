"""How a saga ends, what it tells the world then, and what it forgets (contract 3.6 and 8)."""

from __future__ import annotations

from msgspec import Raw
from msgspec.structs import replace

from ..errors import BadKey
from .definition import Emit
from .ids import checked_key
from .mapping import Unmapped, as_json, business_path, decoded, encoded, expression, mapped, pick
from .messages import Error
from .saga_state import NO_DATA, Saga, State, StepState
from .sending import known
from .turn import Emitted, Turn


def complete(turn: Turn) -> None:
    _end(turn, State.COMPLETED, "completed")
    _emit(turn, turn.definition.on_completed, "completed")
    _forget(turn)


def conclude(turn: Turn) -> None:
    """Nothing is left to undo. A saga that ended before may come here again, by a late `done`."""
    before = turn.saga
    if any(progress.state is StepState.IN_DEBT for progress in before.steps):
        return _owe(turn)
    if before.state is State.COMPENSATED:
        turn.saga = replace(before, open=None, due_at=_forgotten_at(turn))
    else:
        _end(turn, State.COMPENSATED, "compensated", before.error)
    if before.ended_at is None:
        _emit(turn, turn.definition.on_compensated, "compensated", before.error)
    return _forget(turn)


def _owe(turn: Turn) -> None:
    before = turn.saga.state
    turn.rest()
    if before is not State.IN_DEBT:
        turn.saga = replace(turn.saga, state=State.IN_DEBT)
        turn.tell("in_debt", error=turn.saga.error)


def _end(turn: Turn, state: State, fact: str, error: Error | None = None) -> None:
    turn.saga = replace(turn.saga, state=state, open=None, ended_at=turn.now_ms)
    turn.saga = replace(turn.saga, due_at=_forgotten_at(turn))
    turn.tell(fact, error=error)


def _forgotten_at(turn: Turn) -> int:
    return (turn.saga.ended_at or turn.now_ms) + turn.definition.retention_ms


def _forget(turn: Turn) -> None:
    """Drop business data, unless an undo may still have to be sent: a step counted as not done can prove done late."""
    saga = turn.saga
    if turn.definition.keep_data or any(_may_be_undone(turn, index) for index in range(len(saga.steps))):
        return
    steps = tuple(replace(step, result=None if step.result is None else NO_DATA) for step in saga.steps)
    turn.saga = replace(saga, data=NO_DATA, steps=steps)


def _may_be_undone(turn: Turn, index: int) -> bool:
    given_up = turn.saga.steps[index].state in (StepState.FAILED, StepState.IN_DOUBT)
    return given_up and turn.definition.steps[index].undo is not None


def _emit(turn: Turn, emit: Emit | None, ending: str, error: Error | None = None) -> None:
    if emit is None:
        return
    saga = turn.saga
    try:
        data, key = _data(turn, emit, error), _key(saga, emit)
    except (Unmapped, BadKey) as failure:
        data, key = _short(turn, Error("iopt.mapping", str(failure))), saga.key
    topic = emit.topic or saga.origin_topic or turn.definition.start.on[0].topic
    turn.effects.append(Emitted(topic, key, saga.id, emit.type, Raw(data), f"{saga.id}:{ending}:r{saga.run}"))


def _key(saga: Saga, emit: Emit) -> str:
    if emit.key is None:
        return saga.origin_key or saga.key
    path = expression(emit.key)
    return emit.key if path is None else checked_key(decoded(known(saga, path)))


def _data(turn: Turn, emit: Emit, error: Error | None) -> bytes:
    if emit.data is None:
        return _short(turn, error)
    return mapped(emit.data, lambda path: known(turn.saga, path))


def _short(turn: Turn, error: Error | None) -> bytes:
    """The business key under the name it has in the start's data, the saga's id, and what went wrong."""
    saga, path = turn.saga, business_path(turn.definition.start.key)
    try:
        key = pick(saga.data, path)
    except Unmapped:
        key = as_json(saga.key)
    return encoded({path[-1]: key, "saga_id": saga.id} | ({"error": error} if error else {}))
