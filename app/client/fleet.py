"""Breakers that many processes share: what a caller hears of them on `iopt.breaker-states`, and does about it.

Between the fleet's states each breaker goes on by itself, and may open early: a fault of the local network does not
wait for the fleet. That is over with its own wait, or with a newer state. While the fleet says OPEN, nothing here ends
it; in HALF_OPEN only those trial calls are made that this process has permits for, until `permits_until_at`.

Two things end that: Kafka is out of reach for longer than `alone_after_ms`; or a call was refused that the fleet would
have to permit, and nothing newer came for `unanswered_ms`. Then the breaker waits and tries as Resilience4j does, until
the fleet is heard again. After a start, breakers are CLOSED until the states are read.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from ..domain.breakers.breaker import Policy
from ..domain.breakers.calls import BreakerState
from ..domain.breakers.member import Told
from ..domain.breakers.scopes import service_of
from . import forks
from .breaker import CircuitBreaker
from .clock import CLOCK, Clock
from .part import AsyncWay, Way
from .report import Report
from .scope import Scope

MS = 1_000_000
POLL_MS = 500

log = logging.getLogger("iopt_client")
_read = msgspec.json.Decoder(BreakerState).decode


class State(Protocol):
    """One record of the topic: the value None is a tombstone."""

    @property
    def key(self) -> bytes: ...

    @property
    def value(self) -> bytes | None: ...


Poll = Callable[[int], Sequence[State]]


class Limits(NamedTuple):
    """How long Kafka may be out of reach, and an answer of the fleet may take."""

    alone_after_ms: int = 15_000
    unanswered_ms: int = 60_000


class Fleet:
    """The breakers of one process in the fleet. `breaker` makes them: give it to Resilience.

    `poll(within_ms)` gives the newest states, waiting that long for one, none once all are read, and raises where Kafka
    is out of reach: `KafkaTransport.poll`. Once started, a thread calls it, and another one reports.
    """

    def __init__(
        self,
        poll: Poll,
        report: Report,
        *,
        limits: Limits | None = None,
        clock: Clock = CLOCK,
        leave: Callable[[], object] = lambda: None,
    ) -> None:
        """`leave`: lets go of what `poll` and `report` use, once closed."""
        self.report = report
        self._leave = leave
        self._ready = threading.Event()
        self.version = 0
        self._poll, self._limits, self._clock = poll, limits or Limits(), clock
        self._breakers: dict[str, CircuitBreaker] = {}
        self._told: dict[str, Told] = {}
        self._lock = threading.RLock()
        self._heard_ns = clock.now_ns()
        self._alone = self._closed = False
        forks.keep(self)

    def forked(self) -> None:
        """What was heard stays, and is heard again from the beginning once the child asks."""
        ready, self._ready = self._ready.is_set(), threading.Event()
        if ready:
            self._ready.set()
        self._lock = threading.RLock()
        self._heard_ns = self._clock.now_ns()

    @property
    def ready(self) -> threading.Event:
        """Set once all states are read."""
        self.report.wake()
        return self._ready

    def breaker(self, name: str, policy: Policy | None = None) -> FleetBreaker:
        """Of a service. The one of that name, if there is one."""
        with self._lock:
            known = self._breakers.get(name)
            if isinstance(known, FleetBreaker):
                return known
            made = FleetBreaker(name, policy, self._clock, self)
            self._join(made)
            self.report.watch(made)
            for narrower in [told for told in self._told if service_of(told) == name and told != name]:
                self._narrower(narrower)
            return made

    def narrower(self, scope: Scope) -> list[CircuitBreaker]:
        """Those that the fleet has for such calls beside the service's; others once `version` has changed."""
        with self._lock:
            names = scope.breakers(self.report.who.caller)
            return [self._breakers[name] for name in names if name in self._breakers]

    def hear(self, within_ms: int = POLL_MS) -> bool:
        """What the thread does again and again: one look, and what follows from it. False: Kafka is out of reach."""
        try:
            states = self._poll(within_ms)
        except Exception as error:  # noqa: BLE001  # a consumer of others: whatever it raises, no state is heard
            log.debug("the states of the fleet are out of reach: %s", error)
            if self._clock.now_ns() - self._heard_ns > self._limits.alone_after_ms * MS:
                self._alone = True
                self._each(CircuitBreaker.alone)
            return False
        self._heard_ns = self._clock.now_ns()
        for state in states:
            self._take(state)
        if self._alone:
            self._alone = False
            self._each(CircuitBreaker.back)
        if not states:
            self._ready.set()
        self._give_up()
        return True

    def start(self) -> None:
        self.report.start(fleet=self._run)

    def close(self) -> None:
        """Says the last of what is to be said, and hears nothing more; the breakers go on as they are."""
        self._closed = True
        self.report.close()
        self._leave()

    def _take(self, state: State) -> None:
        name = state.key.decode(errors="replace")
        if state.value is None:
            self._forget(name)
            return
        try:
            told = told_of(_read(state.value), self.report.who.client)
        except (msgspec.DecodeError, RecursionError) as error:  # nested beyond all bounds is not readable either
            log.warning("a state of breaker %s is not readable: %s", name, error)
            return
        with self._lock:
            self._told[name] = told
            breaker = self._breakers.get(name)
            if breaker is None and service_of(name) in self._breakers:
                self._narrower(name)
        if breaker is not None:
            breaker.adopt(told)

    def _forget(self, name: str) -> None:
        with self._lock:
            self._told.pop(name, None)
            breaker = self._breakers.get(name)
            if breaker is not None and not isinstance(breaker, FleetBreaker):
                del self._breakers[name]
                self.version += 1
        if breaker is not None:
            breaker.adopt(None)

    def _narrower(self, name: str) -> None:
        service = self._breakers[service_of(name)]
        self._join(CircuitBreaker(name, service.policy, self._clock))
        self.version += 1

    def _join(self, breaker: CircuitBreaker) -> None:
        """A new one, of which nobody hears yet: subscribers of others may wait for the lock."""
        self._breakers[breaker.name] = breaker
        if (told := self._told.get(breaker.name)) is not None:
            breaker.adopt(told)

    def _give_up(self) -> None:
        """On answers that do not come."""
        latest_at = self._clock.wall_ms() - self._limits.unanswered_ms
        for breaker in self._all():
            if 0 < breaker.asked_at < latest_at:
                breaker.alone()

    def _each(self, act: Callable[[CircuitBreaker], None]) -> None:
        for breaker in self._all():
            act(breaker)

    def _all(self) -> list[CircuitBreaker]:
        with self._lock:
            return list(self._breakers.values())

    def _run(self) -> None:
        while not self._closed:
            if not self.hear():
                self._clock.sleep(POLL_MS * MS)


class FleetBreaker(CircuitBreaker):
    """Of a service. A call is permitted if this one permits it, and each narrower one that the fleet has for it.

    A block (`with breaker:`) asks this one alone.
    """

    def __init__(self, name: str, policy: Policy | None, clock: Clock, fleet: Fleet) -> None:
        self._fleet = fleet
        super().__init__(name, policy, clock)

    def around(self, inner: Way) -> Way:
        return self.within(Scope(self.name), inner)

    def around_async(self, inner: AsyncWay) -> AsyncWay:
        return self.within_async(Scope(self.name), inner)

    def within(self, scope: Scope, inner: Way) -> Way:
        """Calls of an operation, or of an instance, or of both."""
        fleet, made = self._fleet, (-1, inner)

        def scoped(fn: Any, args: Any, kwargs: Any) -> Any:
            nonlocal made
            version, way = made
            if version != fleet.version:
                version, way = fleet.version, inner
                for narrower in fleet.narrower(scope):
                    way = narrower.around(way)
                made = version, self.about(scope, way)
            return made[1](fn, args, kwargs)

        return scoped

    def within_async(self, scope: Scope, inner: AsyncWay) -> AsyncWay:
        fleet, made = self._fleet, (-1, inner)

        async def scoped(fn: Any, args: Any, kwargs: Any) -> Any:
            nonlocal made
            version, way = made
            if version != fleet.version:
                version, way = fleet.version, inner
                for narrower in fleet.narrower(scope):
                    way = narrower.around_async(way)
                made = version, self.about_async(scope, way)
            return await made[1](fn, args, kwargs)

        return scoped


def told_of(state: BreakerState, client: str) -> Told:
    """What concerns that client."""
    permits = state.permits.get(client, 0)
    return Told(state.seq, state.state, state.since_at, state.until_at or 0, permits, state.permits_until_at or 0)
