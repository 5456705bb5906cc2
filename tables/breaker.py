"""The breakers of each service, keyed by it and partitioned as call-outcomes; and what the settings say of breakers."""

from app.domain.breakers.breaker import Policy
from app.domain.breakers.fleet import Fleet, due
from app.domain.breakers.scopes import Scopes
from app.engine.processor import Table, View

breakers = Table("breakers", id=2, state=Fleet, due=due)
policies: View[Policy] = View("breaker policies")  # by breaker: `payment-service`, `payment-service:op:charge`
scopes: View[Scopes] = View("breaker scopes")  # by service
