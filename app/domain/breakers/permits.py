"""Who may try a service in HALF_OPEN, where nobody can ask for each call: permits lent to clients for a while.

All that are free are lent at once, in a round that ends when each is answered, or when its time is over by every
clock. Only then does the next round begin, in this HALF_OPEN or a later one: so never more trial calls are out than the
policy permits, as long as clocks differ by less than SKEW_MS. A call that outlasts its round is taken for lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

T = TypeVar("T")

LEASE_MS = 10_000
SKEW_MS = 2_000
MOST = 64  # clients remembered of a service
LATELY_MS = 60_000
COARSE_MS = 1_000  # a client that calls all the time is noted once in so long


class Client(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`rejected_at` is when it last reported a call that its breaker did not permit."""

    caller: str | None
    seen_at: int
    rejected_at: int = 0


class Round(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Permits not yet answered, by client. `seq` is that of the state that told of them."""

    seq: int
    begun_at: int
    until_at: int
    permits: dict[str, int]

    @property
    def over_at(self) -> int:
        """From then on no clock permits a call."""
        return self.until_at + SKEW_MS

    @property
    def out(self) -> int:
        return sum(self.permits.values())

    def answered(self, client: str | None, count: int, seen_seq: int | None) -> Round | None:
        """With so many calls of that client ended; None once no permit is out.

        Only a call that is known to have begun under this round or later is an answer.
        """
        held = self.permits.get(client, 0) if client else 0
        if not held or seen_seq is None or seen_seq < self.seq:
            return self
        permits = _without(self.permits, client)
        if client and held > count:
            permits[client] = held - count
        return msgspec.structs.replace(self, permits=permits) if permits else None


Clients = Mapping[str, Client]


def noted(
    clients: dict[str, Client], name: str, caller: str | None, at_ms: int, *, rejected: bool
) -> dict[str, Client]:
    """With what was heard of that client; in the order in which they were seen, the newest last."""
    known = clients.get(name)
    heard_at = (known.rejected_at if rejected else known.seen_at) if known else 0
    if known and at_ms - heard_at < COARSE_MS:
        return clients
    others = _without(clients, name)
    if len(others) >= MOST:
        del others[next(iter(others))]
    rejected_at = at_ms if rejected else known.rejected_at if known else 0
    return {**others, name: Client(caller, at_ms, rejected_at)}


def first_round(clients: Clients, since_at: int, at_ms: int, caller: str | None) -> list[str]:
    """Those that were rejected since then, the newest first; where there are none, those that were seen lately."""
    lately = {
        name: client
        for name, client in clients.items()
        if at_ms - client.seen_at <= LATELY_MS and caller in (None, client.caller)
    }
    asked = sorted(((c.rejected_at, name) for name, c in lately.items() if c.rejected_at >= since_at), reverse=True)
    return [name for _, name in asked] or list(reversed(lately))


def next_round(clients: Clients, since_at: int, caller: str | None, asking: str | None) -> list[str]:
    """The one that asks now, and those that were rejected after that instant, the newest first."""
    found = [
        (client.rejected_at, name)
        for name, client in clients.items()
        if (client.rejected_at > since_at or name == asking) and caller in (None, client.caller)
    ]
    return sorted((name for _, name in sorted(found, reverse=True)), key=lambda name: name != asking)


def shares(clients: Sequence[str], permits: int) -> dict[str, int]:
    """As evenly as may be; the first ones have one more."""
    each, more = divmod(permits, len(clients)) if clients else (0, 0)
    return {name: each + (at < more) for at, name in enumerate(clients) if each or at < more}


def _without(found: Mapping[str, T], name: str | None) -> dict[str, T]:
    return {each: value for each, value in found.items() if each != name}
