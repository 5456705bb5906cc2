"""Every saga, keyed by its id and partitioned as saga-inbox; and what sagas are decided by."""

from app.domain.definition import Definition
from app.domain.participant import Participant
from app.domain.retry import RetryPolicy
from app.domain.saga_state import STATES, Saga, due, ordinal
from app.engine.processor import Table, View
from app.wire.topics import DEFINITIONS

sagas = Table("sagas", id=1, state=Saga, due=due, mark=ordinal, marks=STATES)
definitions: View[Definition] = View("definitions", DEFINITIONS)
participants: View[Participant] = View("participants")
retries: View[RetryPolicy] = View("retry policies")
