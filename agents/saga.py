"""saga-inbox, saga-replies -> saga.decide -> sagas -> commands, saga-events, call-outcomes, domain events"""

from collections.abc import Iterable, Iterator
from typing import Any

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


def carried(effects: Iterable[Effect], trace: bytes | None) -> Iterator[Out]:
    for effect in effects:
        match effect:
            case Sent(topic, name, command):
                yield Out(commands(topic), command.saga_id, Typed(name, command), command.command_id, trace)
            case Told(name, fact):
                yield Out(SAGA_EVENTS, fact.saga_id, Typed(name, fact), f"{fact.saga_id}#{fact.seq}", trace)
            case Emitted(topic, key, saga_id, name, data, id):
                yield Out(emitted(topic), key, Typed(name, data), id, trace, subject=saga_id)
            case _:
                yield Out(CALL_OUTCOMES, effect.service, effect, trace=trace)
