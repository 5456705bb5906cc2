"""saga-inbox, saga-replies -> saga.decide -> sagas -> commands, saga-events, call-outcomes, domain events"""

from collections.abc import Callable, Iterable
from typing import Any

from app.domain.breakers.calls import CallOutcome
from app.domain.sagas import saga as domain
from app.domain.sagas.messages import Act, Reply, Signal, Start, Typed
from app.domain.sagas.saga_state import Saga
from app.domain.sagas.turn import Effect, Emitted, Sent, Terms, Told
from app.engine.processor import Change, Due, Out, Reading, Record, processor
from app.wire.topics import CALL_OUTCOMES, SAGA_EVENTS, SAGA_INBOX, SAGA_REPLIES, commands, emitted
from tables.saga import definitions, participants, retries, sagas


@processor(SAGA_INBOX, SAGA_REPLIES, keeps=sagas, reads=(definitions, participants, retries), row="saga", timers=True)
def run_sagas(
    saga: Saga | None, value: Start | Reply | Act | Signal | Due, record: Record, *readings: Reading[Any]
) -> Change[Saga]:
    terms = Terms(SAGA_REPLIES.name, *readings)
    if isinstance(value, Due):
        saga, effects = domain.tick(saga, record.now_ms, terms)
    else:
        saga, effects = domain.decide(saga, value, record.now_ms, terms, record.trace)
    return saga, carried(effects, saga.trace if saga else None)


def carried(effects: Iterable[Effect], trace: bytes | None) -> list[Out]:
    return [_OUT[type(effect)](effect, trace) for effect in effects]


def _command(sent: Sent, trace: bytes | None) -> Out:
    command = sent.command
    return Out(commands(sent.topic), command.saga_id, Typed(sent.type, command), command.command_id, trace)


def _fact(told: Told, trace: bytes | None) -> Out:
    fact = told.fact
    return Out(SAGA_EVENTS, fact.saga_id, Typed(told.type, fact), f"{fact.saga_id}#{fact.seq}", trace)


def _end(told: Emitted, trace: bytes | None) -> Out:
    return Out(emitted(told.topic), told.key, Typed(told.type, told.data), told.id, trace, subject=told.saga_id)


def _outcome(outcome: CallOutcome, trace: bytes | None) -> Out:
    return Out(CALL_OUTCOMES, outcome.service, outcome, trace=trace)


_OUT: dict[type, Callable[[Any, bytes | None], Out]] = {
    Sent: _command,
    Told: _fact,
    Emitted: _end,
    CallOutcome: _outcome,
}
