"""The breaker row in the driver: what is sent to it, and what is seen of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agents import breaker as row
from app.domain.audit import Audit
from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import BreakerAct, BreakerState, CallOutcome, State
from app.domain.breakers.fleet import Fleet, Kept
from app.domain.breakers.scopes import Scopes
from app.engine.driver import EPOCH_MS, Driver
from app.engine.processor import PROCESSORS, View
from app.wire.topics import AUDIT, BREAKER_ACTS, BREAKER_STATES, BREAKER_TRANSITIONS, CALL_OUTCOMES
from tables.breaker import breakers, policies, scopes


class Breakers(Driver):
    """`policies` by breaker, `scopes` by service; others have the defaults."""

    def __init__(
        self, policies_: Mapping[str, Policy], scopes_: Mapping[str, Scopes] | None = None, *, careful: bool = False
    ) -> None:
        self.policies, self.scopes = dict(policies_), dict(scopes_ or {})
        settings: dict[View[Any], Callable[[str], Any]] = {
            policies: lambda name: self.policies.get(name, Policy()),
            scopes: lambda service: self.scopes.get(service, Scopes()),
        }
        super().__init__(
            [each for each in PROCESSORS if each.run in (row.judge_calls, row.act_on_breakers)],
            settings=settings,
            careful=careful,
        )

    def calls(self, service: str, *outcomes: str, **more: Any) -> None:
        for outcome in outcomes:
            self.send(CALL_OUTCOMES, service, CallOutcome(service=service, outcome=outcome, **more))

    def folded(self, service: str, counts: dict[str, int], **more: Any) -> None:
        self.send(CALL_OUTCOMES, service, CallOutcome(service=service, counts=counts, **more))

    def act(self, service: str, act: str, breaker: str = "", act_id: str = "act-1") -> None:
        told = BreakerAct(
            act_id=act_id,
            service=service,
            breaker=breaker or service,
            act=act,  # type: ignore[arg-type]
            reason="maintenance",
            actor="ops",
            at=self.now_ms,
        )
        self.send(BREAKER_ACTS, service, told, id=act_id)

    @property
    def moves(self) -> list[tuple[str, str, str, str, int]]:
        """Breaker, from, to, cause and when."""
        return [(key, t.from_, t.to, t.cause, t.at - EPOCH_MS) for key, t in self.outputs(BREAKER_TRANSITIONS)]

    @property
    def published(self) -> dict[str, BreakerState]:
        """As who reads the topic knows them: the newest of each breaker, without those that are gone."""
        found: dict[str, BreakerState] = {}
        for record in self.records(BREAKER_STATES):
            name = (record.key or b"").decode()
            if record.value is None:
                del found[name]
            else:
                found[name] = BREAKER_STATES.codec.decode(record.value, record.headers)
        return found

    @property
    def audit(self) -> list[Audit]:
        return [audit for _, audit in self.outputs(AUDIT)]

    def fleet(self, service: str) -> Fleet:
        return self.table(breakers)[service]

    def kept(self, service: str) -> dict[str, Kept]:
        return self.fleet(service).breakers

    def states(self, service: str) -> dict[str, State]:
        return {name: kept.breaker.state for name, kept in self.kept(service).items()}
