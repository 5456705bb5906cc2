"""One process of a fleet, without threads: it reports and hears when a test says so."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.client.errors import CallNotPermitted
from app.client.fleet import Fleet, Limits
from app.client.judging import CircuitBreakerPolicy
from app.client.part import straight
from app.client.report import Report
from app.client.scope import Scope, Who
from app.domain.breakers.breaker import Policy, State
from app.domain.breakers.calls import BreakerState
from app.domain.breakers.scopes import scope_of, service_of
from tests.support.memory_transport import MemoryTransport, Topics
from tests.support.virtual_clock import MS, VirtualClock

PAY = "payment-service"
POLICY = CircuitBreakerPolicy(
    sliding_window_size=4,
    minimum_number_of_calls=4,
    permitted_number_of_calls_in_half_open_state=3,
    wait_duration_in_open_state_ms=5_000,
)


class Member:
    """One process of a fleet."""

    def __init__(self, client: str = "order-1", topics: Topics | None = None, policy: Policy = POLICY) -> None:
        self.clock = VirtualClock()
        self.topics = topics or Topics()
        self.transport = MemoryTransport(self.topics)
        self.report = Report(self.transport.send, Who("order-service", client), clock=self.clock)
        self.fleet = Fleet(self.transport.poll, self.report, limits=Limits(15_000, 60_000), clock=self.clock)
        self.pay = self.fleet.breaker(PAY, policy)
        self.made = 0

    def told(self, state: State, seq: int, breaker: str = PAY, until: int | None = None, **lent: Any) -> None:
        said = BreakerState(
            breaker=breaker,
            service=service_of(breaker),
            scope=scope_of(breaker),
            state=state,
            since_at=self.clock.wall_ms(),
            until_at=until,
            permits_half_open=3,
            failure_rate=-1.0,
            slow_call_rate=-1.0,
            slow_call_duration_ms=60_000,
            config_version=1,
            seq=seq,
            at=self.clock.wall_ms(),
            permits=lent.get("permits", {}),
            permits_until_at=lent.get("lease"),
        )
        self.topics.tell(breaker, msgspec.json.encode(said))
        self.fleet.hear()

    def permits(self, **scope: str) -> bool:
        way = self.pay.within(Scope(PAY, **scope), straight)
        try:
            way(self._make, (), {})
        except CallNotPermitted:
            return False
        return True

    def _make(self) -> None:
        self.made += 1

    def fail(self, times: int = 4) -> None:
        for _ in range(times):
            with pytest.raises(ZeroDivisionError):
                self.pay.call(lambda: 1 / 0)

    def after(self, ms: int) -> None:
        self.clock.advance(ms * MS)
        self.fleet.hear()

    def said(self) -> list[Any]:
        self.report.flush()
        sent, self.topics.sent = self.topics.sent, []
        return [each.body for each in sent]
