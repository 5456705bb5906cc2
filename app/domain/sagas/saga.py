"""Saga: steps forward; after a failure, what was done is undone, newest first.

Garcia-Molina & Salem, "Sagas", SIGMOD 1987; outcomes, doubt and debt as contract 3 says.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ..errors import Invalid, PassedOver, Rejected, StaleStart, TooLarge
from .compensation import settle_undo
from .definition import Definition, definition_id
from .forward import proceed, resume, settle
from .ids import command_id, saga_id
from .messages import Act, Reply, Signal, Start
from .replies import follow
from .saga_state import DATA_BYTES, ENDED, NEVER, NO_DATA, Open, Saga, State, Wait
from .sending import send_undo
from .turn import Answer, Effect, Terms, Turn

Decision = tuple[Saga | None, Sequence[Effect]]


def decide(
    saga: Saga | None, message: Start | Reply | Act | Signal, now_ms: int, terms: Terms, trace: bytes | None = None
) -> Decision:
    """Raises PassedOver for what says nothing new, Rejected for what can never be followed."""
    match message:
        case Reply():
            if saga is None:
                raise PassedOver("unknown-command")
            turn = Turn(saga, now_ms, terms)
            follow(turn, message)
            return turn.close()
        case Start():
            return _start(saga, message, now_ms, terms, trace)
        case Act():
            raise Rejected(f"{message.act}: acts are not supported yet")
        case Signal():
            raise Rejected(f"{message.signal}: signals are not supported yet")


def tick(saga: Saga | None, now_ms: int, terms: Terms) -> Decision:
    """The instant that `due(saga)` named has come; what it was for, the state says."""
    if saga is None or saga.due_at == NEVER or now_ms < saga.due_at:
        return saga, ()
    if saga.open is None:
        return None, ()
    turn = Turn(saga, now_ms, terms)
    if saga.open.wait is Wait.REPLY:
        _silence(turn, saga.open)
    elif saga.open.action == "undo":
        send_undo(turn, saga.open.index, saga.open.attempt + 1)
    else:
        resume(turn, saga.open)
    return turn.close()


def _silence(turn: Turn, opened: Open) -> None:
    saga, step = turn.saga, turn.saga.steps[opened.index].step
    command = command_id(saga.id, step, opened.action, saga.run, opened.attempt)
    answer = Answer(command, "timeout", NO_DATA, None, turn.now_ms - opened.sent_at)
    (settle_undo if opened.action == "undo" else settle)(turn, opened.index, answer)


def _start(saga: Saga | None, start: Start, now_ms: int, terms: Terms, trace: bytes | None) -> Decision:
    if start.saga_id != saga_id(start.saga, start.key):
        raise Invalid(f"$.saga_id: {start.saga_id!r}, expected {saga_id(start.saga, start.key)!r}")
    if saga is not None and start.run <= saga.run:
        raise PassedOver("duplicate")
    if saga is not None and saga.state not in ENDED:
        raise Rejected(f"{saga.id} is {saga.state}: run {start.run} can begin after its end")
    if len(bytes(start.data)) > DATA_BYTES:
        raise TooLarge(f"$.data: {len(bytes(start.data))} bytes, at most {DATA_BYTES}")
    definition = terms.definitions[definition_id(start.saga, start.saga_version)]
    if start.origin is not None and start.origin.at <= now_ms - definition.retention_ms:
        raise StaleStart(f"$.origin.at: {start.origin.at}, ended sagas are remembered for {definition.retention_ms} ms")
    turn = Turn(replace(_begun(saga, start, now_ms, definition), trace=trace), now_ms, terms)
    turn.tell("started")
    proceed(turn)
    return turn.close()


def _begun(before: Saga | None, start: Start, now_ms: int, definition: Definition) -> Saga:
    """A new run goes on counting facts where the run before it ended."""
    return Saga(
        saga=start.saga,
        id=start.saga_id,
        version=start.saga_version,
        key=start.key,
        run=start.run,
        state=State.RUNNING,
        seq=before.seq if before else 0,
        started_at=now_ms,
        deadline_at=now_ms + definition.deadline_ms,
        due_at=NEVER,
        data=bytes(start.data),
        origin_topic=start.origin.topic if start.origin else None,
        origin_key=start.origin.key if start.origin else None,
        history=before.history if before else (),
    )
