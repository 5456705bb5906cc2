"""The breakers of one service, told of calls, acts and time as their row tells them."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from app.domain.audit import Audit
from app.domain.breakers import fleet as domain
from app.domain.breakers.acts import act
from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import BreakerAct, BreakerState, CallOutcome, Transition
from app.domain.breakers.fleet import Decision, Effect, Fleet, Kept, Terms
from app.domain.breakers.scopes import Scopes

V = TypeVar("V")
SERVICE_ALONE = Scopes()


class Every(Generic[V]):
    """A view that says the same of every name, but for some."""

    def __init__(self, value: V, **others: V) -> None:
        self.value, self.others = value, others

    def get(self, key: str) -> V:
        return self.others.get(key, self.value)

    __getitem__ = get


class Row:
    """`policy` and `scopes` may be set anew at any time. `effects` are all that there were."""

    def __init__(self, policy: Policy, scopes: Scopes = SERVICE_ALONE, service: str = "pay") -> None:
        self.policy, self.scopes, self.service = policy, scopes, service
        self.fleet: Fleet | None = None
        self.effects: list[Effect] = []

    @property
    def terms(self) -> Terms:
        return Terms(Every(self.policy), Every(self.scopes))

    @property
    def kept(self) -> Kept:
        """The service's own breaker."""
        assert self.fleet
        return self.fleet.breakers[self.service]

    @property
    def transitions(self) -> list[Transition]:
        return [effect for effect in self.effects if isinstance(effect, Transition)]

    @property
    def states(self) -> list[BreakerState]:
        return [effect for effect in self.effects if isinstance(effect, BreakerState)]

    @property
    def audits(self) -> list[Audit]:
        return [effect for effect in self.effects if isinstance(effect, Audit)]

    def call(self, outcome: str, at_ms: int, now_ms: int | None = None, **more: Any) -> list[Effect]:
        """What came of it."""
        return self.tell(CallOutcome(service=self.service, outcome=outcome, **more), at_ms, now_ms)

    def fold(self, at_ms: int, counts: dict[str, int], **more: Any) -> list[Effect]:
        return self.tell(CallOutcome(service=self.service, counts=counts, **more), at_ms)

    def tell(self, call: CallOutcome, at_ms: int, now_ms: int | None = None) -> list[Effect]:
        now_ms = at_ms if now_ms is None else now_ms
        return self._take(domain.decide(self.fleet, call, at_ms, now_ms, self.terms))

    def act(self, word: str, at_ms: int, breaker: str = "", act_id: str = "", service: str = "") -> Audit:
        """Its audit record."""
        told = BreakerAct(
            act_id=act_id or f"act-{len(self.audits)}",
            service=service or self.service,
            breaker=breaker or self.service,
            act=word,  # type: ignore[arg-type]
            reason="maintenance",
            actor="ops",
            at=at_ms,
        )
        self._take(act(self.fleet, told, at_ms, at_ms, self.terms))
        return self.audits[-1]

    def wait(self, until_ms: int) -> None:
        """Every timer fires when it is due."""
        while self.fleet and (at := domain.due(self.fleet)) is not None and at <= until_ms:
            self.fire(at)

    def fire(self, now_ms: int) -> list[Effect]:
        return self._take(domain.expire(self.fleet, self.service, now_ms, self.terms))

    def _take(self, decision: Decision) -> list[Effect]:
        self.fleet, effects = decision
        self.effects += effects
        return effects
