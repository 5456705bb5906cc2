"""Whether it went as it should: the breaker's way, its numbers, and who called payment-service when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from deploy.demo.breakers.payment import Charge
from deploy.demo.breakers.seen import Said, Seen

WITHIN_MS = 1_000
SHUT = ("OPEN", "FORCED_OPEN")
WAY = (
    ("CLOSED", "OPEN", "failure-rate"),
    ("OPEN", "HALF_OPEN", "wait"),
    ("HALF_OPEN", "CLOSED", "trial"),
    ("CLOSED", "FORCED_OPEN", "act"),
    ("FORCED_OPEN", "CLOSED", "act"),
)


@dataclass(frozen=True, slots=True)
class Shut:
    """While no call may come: from a second after callers could know on, and until it changed again."""

    state: str
    heard_at: int
    until_at: int

    def late(self, charges: Sequence[Charge]) -> list[Charge]:
        return [charge for charge in charges if self.heard_at + WITHIN_MS < charge.at < self.until_at]

    def last_ms(self, charges: Sequence[Charge]) -> int:
        """How long after it was heard the last call came; 0 if none did."""
        return max(
            (charge.at - self.heard_at for charge in charges if self.heard_at < charge.at < self.until_at), default=0
        )


def findings(seen: Seen, charges: Sequence[Charge]) -> list[str]:
    """What is wrong, in words; nothing if all is as it should be."""
    return [
        *_way(seen),
        *_numbers(seen),
        *(
            f"{charge.caller} called {charge.at - shut.heard_at} ms after {shut.state} was heard"
            for shut in shuts(seen)
            for charge in shut.late(charges)
        ),
        *_trials(seen, charges),
    ]


def shuts(seen: Seen) -> list[Shut]:
    moves = seen.transitions
    ends = [after.body["at"] for after in moves[1:]]
    states = {said.body["seq"]: said for said in reversed(seen.states)}
    return [
        Shut(move.body["to"], states[move.body["seq"]].heard_at, end)
        for move, end in zip(moves, ends, strict=False)
        if move.body["to"] in SHUT and move.body["seq"] in states
    ]


def trials(charges: Sequence[Charge]) -> list[Charge]:
    return [charge for charge in charges if charge.breaker == "HALF_OPEN"]


def _way(seen: Seen) -> Iterator[str]:
    went = tuple((body["from"], body["to"], body["cause"]) for body in _bodies(seen.transitions))
    if went != WAY:
        yield f"its way was {_told(went)}; expected {_told(WAY)}"


def _numbers(seen: Seen) -> Iterator[str]:
    """Permits that are lent again are a state of their own number, and no transition."""
    moved = [body["seq"] for body in _bodies(seen.transitions)]
    stood = [body["seq"] for body in _bodies(seen.states)]
    for topic, numbers in (("transitions", moved), ("states", stood)):
        yield from (f"{topic}: seq {seq} {times} times" for seq, times in Counter(numbers).items() if times > 1)
    if stood and stood != list(range(stood[0], stood[0] + len(stood))):
        yield f"states: seq {_numbered(stood)}: expected one after the other"
    entered = [body["seq"] for before, body in pairwise(_bodies(seen.states)) if before["state"] != body["state"]]
    if moved != entered:
        yield f"transitions: seq {_numbered(moved)}; the states changed with {_numbered(entered)}"


def _trials(seen: Seen, charges: Sequence[Charge]) -> Iterator[str]:
    half_open = seen.state("HALF_OPEN")
    permitted = half_open.body["permits_half_open"] if half_open else 0
    tried = len(trials(charges))
    if not 0 < tried <= permitted:
        yield f"{tried} trial calls in HALF_OPEN: expected at least one, at most {permitted}"


def _bodies(said: Sequence[Said]) -> list[Mapping[str, Any]]:
    return [one.body for one in said]


def _told(way: Sequence[tuple[str, str, str]]) -> str:
    return ", ".join(f"{before} -> {after} ({cause})" for before, after, cause in way) or "none"


def _numbered(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers)) or "none"
