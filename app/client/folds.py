"""Outcomes of calls on their way to the fleet: counted together, or each by itself (contract 4.1). Bounded."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from ..domain.breakers.calls import CallOutcome
from .breaker_steps import Call, Note
from .scope import Scope

LONGEST_MS = 1_000
MOST_CALLS = 1_000  # of one record
MOST_RECORDS = 10_000  # that wait; what comes then is dropped


class Said(NamedTuple):
    """What a fold's calls have in common."""

    service: str
    operation: str | None
    instance: str | None
    seen_seq: int | None


class Waiting(Protocol):
    """`dropped`: calls of which nothing will be said."""

    dropped: int

    def ended(self, said: Said, call: Call) -> None: ...

    def succeeded(self, said: Said, notes: list[Note], wall_ms: Callable[[int], int]) -> None: ...

    def take(self) -> list[CallOutcome]:
        """All that waits, once. Also of use when it is not sent after all: `dropped` is for the caller to raise."""


class Alike(NamedTuple):
    """Calls of one kind; `took_ms` is of all together."""

    kind: str
    from_at: int
    to_at: int
    calls: int
    took_ms: float


class Fold:
    """At most a second of calls, and at most 1,000."""

    __slots__ = ("calls", "counts", "from_at", "to_at", "took_ms")

    def __init__(self, at: int) -> None:
        self.counts: Counter[str] = Counter()
        self.took_ms: dict[str, float] = defaultdict(float)
        self.calls = 0
        self.from_at = self.to_at = at

    def takes(self, some: Alike) -> bool:
        longest_ms = max(self.to_at, some.to_at) - min(self.from_at, some.from_at)
        return longest_ms <= LONGEST_MS and self.calls + some.calls <= MOST_CALLS

    def add(self, some: Alike) -> None:
        self.counts[some.kind] += some.calls
        self.took_ms[some.kind] += some.took_ms
        self.calls += some.calls
        self.from_at, self.to_at = min(self.from_at, some.from_at), max(self.to_at, some.to_at)


class Folded:
    """Counts by what calls have in common. A call that opens a breaker by its result is said by itself."""

    def __init__(self, slow_ms: Callable[[str], int], most: int = MOST_RECORDS) -> None:
        self.dropped = 0
        self._slow_ms = slow_ms
        self._most = most
        self._open: dict[Said, Fold] = {}
        self._full: deque[CallOutcome] = deque()

    def ended(self, said: Said, call: Call) -> None:
        if call.opens_until is not None:
            self._keep(single(said, call), 1)
            return
        kind = f"slow_{call.kind}" if call.slow and call.kind in ("success", "failure", "timeout") else call.kind
        self._add(said, Alike(kind, call.at, call.at, 1, call.duration_ms))

    def succeeded(self, said: Said, notes: list[Note], wall_ms: Callable[[int], int]) -> None:
        from_at, to_at = wall_ms(notes[0][1]), wall_ms(notes[-1][1])
        if to_at - from_at <= LONGEST_MS // 2 and len(notes) <= MOST_CALLS:
            took_ns = sum(ended_ns - began_ns for began_ns, ended_ns, _ in notes)
            self._add(said, Alike("success", min(from_at, to_at), to_at, len(notes), took_ns / 1e6))
            return
        for began_ns, ended_ns, _ in notes:
            at = wall_ms(ended_ns)
            self._add(said, Alike("success", at, at, 1, (ended_ns - began_ns) / 1e6))

    def take(self) -> list[CallOutcome]:
        folds, self._open = self._open, {}
        for said, fold in folds.items():
            self._close(said, fold)
        full, self._full = self._full, deque()
        return list(full)

    def _add(self, said: Said, some: Alike) -> None:
        fold = self._open.get(said)
        if fold is None or not fold.takes(some):
            if fold is not None:
                self._close(said, fold)
            elif len(self._open) >= self._most:
                self.dropped += some.calls
                return
            fold = self._open[said] = Fold(some.from_at)
        fold.add(some)

    def _close(self, said: Said, fold: Fold) -> None:
        counted = CallOutcome(
            service=said.service,
            operation=said.operation,
            instance=said.instance,
            seen_seq=said.seen_seq,
            counts=dict(fold.counts),
            took_ms={kind: took for kind, ms in fold.took_ms.items() if (took := round(ms))} or None,
            slow_call_duration_ms=self._slow_ms(said.service),
            from_at=fold.from_at,
            to_at=fold.to_at,
            at=fold.to_at,
        )
        self._keep(counted, fold.calls)

    def _keep(self, outcome: CallOutcome, calls: int) -> None:
        if len(self._full) >= self._most:
            self.dropped += calls
        else:
            self._full.append(outcome)


class Single:
    """Each call by itself: for windows that are exact to the call."""

    def __init__(self, most: int = MOST_RECORDS) -> None:
        self.dropped = 0
        self._most = most
        self._calls: deque[CallOutcome] = deque()

    def ended(self, said: Said, call: Call) -> None:
        if len(self._calls) >= self._most:
            self.dropped += 1
        else:
            self._calls.append(single(said, call))

    def succeeded(self, said: Said, notes: list[Note], wall_ms: Callable[[int], int]) -> None:
        for began_ns, ended_ns, _ in notes:
            self.ended(said, Call("success", wall_ms(ended_ns), (ended_ns - began_ns) / 1e6))

    def take(self) -> list[CallOutcome]:
        calls, self._calls = self._calls, deque()
        return list(calls)


def single(said: Said, call: Call) -> CallOutcome:
    return CallOutcome(
        service=said.service,
        operation=said.operation,
        instance=said.instance,
        seen_seq=said.seen_seq,
        outcome=call.kind,
        duration_ms=None if call.kind == "rejected" else round(call.duration_ms),
        error=call.error or None,
        at=call.at,
        opens_until_at=call.opens_until,
    )


def calls_of(outcome: CallOutcome) -> int:
    return sum(outcome.counts.values()) if outcome.counts else 1


def named(outcome: CallOutcome, caller: str, client: str) -> CallOutcome:
    return msgspec.structs.replace(outcome, caller=caller, client=client)


def said_of(service: str, about: Scope | None, seen_seq: int | None) -> Said:
    return Said(service, about.operation if about else None, about.instance if about else None, seen_seq)
