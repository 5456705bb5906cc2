"""The breaker of each service, keyed and partitioned as call-outcomes; and what the settings say of breakers."""

from app.domain.breaker import Policy
from app.domain.calls import State
from app.domain.fleet import Observed, due
from app.domain.scopes import Scopes
from app.engine.processor import Table, View

_ORDINALS = {state: ordinal for ordinal, state in enumerate(State)}

breakers = Table(
    "breakers",
    id=2,
    state=Observed,
    due=due,
    mark=lambda observed: _ORDINALS[observed.breaker.state],
    marks=tuple(State),
)
policies: View[Policy] = View("breaker policies")  # by breaker: `payment-service`, `payment-service:op:charge`
scopes: View[Scopes] = View("breaker scopes")  # by service
