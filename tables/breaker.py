"""The breaker of each service, keyed and partitioned as call-outcomes; and the policies that the settings give."""

from app.domain.breaker import Policy
from app.domain.calls import State
from app.domain.fleet import Observed, due
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
policies: View[Policy] = View("breaker policies")
