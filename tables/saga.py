"""Every saga, keyed by its id and partitioned as saga-inbox; and what sagas are decided by."""

from app.domain.retry import RetryPolicy
from app.domain.sagas.definition import Definition
from app.domain.sagas.participant import Participant
from app.domain.sagas.saga_state import STATES, Saga, due, ordinal
from app.engine.processor import Table, View
from app.wire.topics import DEFINITIONS

sagas = Table("sagas", id=1, state=Saga, due=due, mark=ordinal, marks=STATES)
definitions: View[Definition] = View("definitions", DEFINITIONS)
participants: View[Participant] = View("participants")
retries: View[RetryPolicy] = View("retry policies")
