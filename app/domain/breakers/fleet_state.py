"""Which breakers a service has: what is stored of it, and how they come and go (contract 4.2)."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import msgspec

from ..lookup import Lookup
from . import kept as one
from .breaker import Policy
from .calls import State
from .judging import Effect, Judging, Moment
from .kept import Kept
from .permits import Client
from .published import Gone
from .scopes import Scopes, scope_of
from .window import WindowType


class Fleet(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`breakers` by full name: `payment-service`, `payment-service:op:charge` ...; `scopes` are those that are kept.

    `clients` were heard lately, the newest last; `acts` are ids of the newest acts. `seq` is the first of a breaker
    that begins: more than that of any that is gone. `refused` counts calls for whose breaker there was no room.
    """

    breakers: dict[str, Kept] = {}
    scopes: tuple[str, ...] = ()
    clients: dict[str, Client] = {}
    acts: tuple[str, ...] = ()
    seq: int = 0
    refused: int = 0


class Terms(NamedTuple):
    """What the settings say of a breaker, and of the breakers of a service."""

    policies: Lookup[Policy]
    scopes: Lookup[Scopes]


MOST_BYTES = 512 << 10  # of a service: one record of the changelog has them all

Decision = tuple[Fleet | None, list[Effect]]


def due(fleet: Fleet) -> int | None:
    """The earliest of its breakers'."""
    return min((at for kept in fleet.breakers.values() if (at := one.due(kept)) is not None), default=None)


def most_bytes(policy: Policy) -> int:
    """What a breaker takes when its window is full: a byte a call, or some for each second."""
    each = 8 if policy.sliding_window_type is WindowType.TIME_BASED else 1
    return 400 + policy.sliding_window_size * each


class Roster:
    """The breakers of a service while one decision about them is being made."""

    __slots__ = ("at_ms", "breakers", "effects", "fleet", "most", "now_ms", "policies", "scopes", "seq")

    def __init__(self, fleet: Fleet, service: str, at_ms: int, now_ms: int, terms: Terms) -> None:
        """Breakers of scopes that are no longer kept go."""
        scopes = terms.scopes[service]
        self.fleet, self.at_ms, self.now_ms = fleet, at_ms, now_ms
        self.breakers, self.seq, self.effects = dict(fleet.breakers), fleet.seq, list[Effect]()
        self.policies, self.scopes, self.most = terms.policies, scopes.kept, scopes.most
        if fleet.scopes != scopes.kept:
            for name in fleet.breakers:
                if scope_of(name) not in scopes.kept:
                    self._drop(name)

    def judging(self, name: str, others: Collection[str] = ()) -> Judging | None:
        """None where it would begin and there is no room: the one idle for longest goes, but for `others`."""
        kept, policy = self.breakers.get(name), self.policies[name]
        if kept is None and not self._make_room(policy, others):
            return None
        moment = Moment(self.at_ms, self.now_ms, policy, self.fleet.clients)
        return Judging(name, kept, moment, self.seq)

    def keep(self, judged: Judging) -> None:
        self.breakers[judged.name] = judged.kept
        self.effects += judged.effects

    def close(self, *acts: str, refused: int = 0) -> Fleet:
        fleet = self.fleet
        return Fleet(self.breakers, self.scopes, fleet.clients, acts or fleet.acts, self.seq, fleet.refused + refused)

    def _make_room(self, policy: Policy, others: Collection[str]) -> bool:
        most = min(self.most, max(1, MOST_BYTES // most_bytes(policy)))
        while len(self.breakers) >= most:
            idle = (
                (kept.used_at, name)
                for name, kept in self.breakers.items()
                if kept.breaker.state is State.CLOSED and name not in others
            )
            _, name = min(idle, default=(0, ""))
            if not name:
                return False
            self._drop(name)
        return True

    def _drop(self, name: str) -> None:
        self.seq = max(self.seq, self.breakers.pop(name).breaker.seq + 1)
        self.effects.append(Gone(name))
