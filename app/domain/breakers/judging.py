"""One decision about one breaker of a fleet while it is being made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from ..audit import Audit
from . import breaker as machine
from . import kept as one
from . import permits, published
from .breaker import Breaker, Event, Policy
from .calls import BreakerState, State, Transition
from .folding import Run, quiet, repeated
from .kept import NOBODY, Call, Kept
from .permits import Clients, Round, first_round, next_round, shares
from .published import Gone
from .scopes import scope_of, service_of

Effect = Transition | BreakerState | Gone | Audit

CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN


class Moment(NamedTuple):
    """When it is decided, and by what: `at_ms` is when it happened."""

    at_ms: int
    now_ms: int
    policy: Policy
    clients: Clients


class Judging:
    """`kept` is replaced as the decision goes on."""

    __slots__ = ("at_ms", "clients", "effects", "kept", "name", "now_ms", "policy")

    def __init__(self, name: str, kept: Kept | None, moment: Moment, seq: int = 0) -> None:
        """Without `kept` it begins, and says so; `seq` is then that of its first state."""
        self.name = name
        self.at_ms, self.now_ms, self.policy, self.clients = moment
        self.effects: list[Effect] = []
        self.kept = kept or Kept()
        if kept is None:
            begun = machine.begun(self.policy, self.at_ms, one.fraction(name, Breaker(), self.policy))
            self.kept = Kept(replace(begun, seq=seq), used_at=self.at_ms)
            self._enter(self.at_ms)

    def record(self, call: Call, client: str | None, seen_seq: int | None) -> None:
        self.kept, after, told = one.recorded(self.name, self.kept, call, self.at_ms, self.policy)
        self._answer(1, client, seen_seq)
        if told and told[-1].change:
            self._follow(after, told[-1])
        else:
            self._tell_of(told, self.kept, after)

    def record_all(self, runs: Sequence[Run], client: str | None, seen_seq: int | None) -> None:
        """As many times `record`, one after the other, without as many steps."""
        for call, times in runs:
            left = times
            while left:
                self.ask(seen_seq)
                self.record(call, client, seen_seq)
                self.lend_again(client)
                left -= 1
                if at_once := quiet(self.kept.breaker, call, left, self.policy):
                    self.kept = repeated(self.kept, call, at_once, self.at_ms, self.policy)
                    self._answer(at_once, client, seen_seq)
                    left -= at_once

    def ask(self, seen_seq: int | None) -> None:
        """A call that ended, or that was not permitted, after the wait in OPEN; one from before it does not ask."""
        breaker = self.kept.breaker
        late = seen_seq is not None and seen_seq < self.kept.changed_seq
        if breaker.state is OPEN and self.at_ms > breaker.until_at and not late:
            asked, _, [event] = machine.permit(breaker, self.at_ms, self.policy)
            self._follow(machine.release(asked), event)

    def expire(self) -> None:
        """What a timer does."""
        before = self.kept.breaker
        draw = one.fraction(self.name, before, self.policy)
        after, events = machine.expire(before, self.now_ms, self.policy, draw)
        if events:
            self._follow(after, events[0])
        else:
            self.lend_again(None)

    def act(self, act: str) -> None:
        """By hand. What is published then says so, though the state may stay as it was."""
        before, draw = self.kept.breaker, one.fraction(self.name, self.kept.breaker, self.policy)
        if act == "reset":
            after, events = machine.reset(before, self.at_ms, self.policy)
        else:
            after, events = machine.move(before, MOVES[act], self.at_ms, self.policy, draw)
        kept = self.kept
        self._follow(after, next((event for event in events if event.change), None))
        self._tell_of((event for event in events if not event.change), kept, after)

    def lend_again(self, asking: str | None) -> None:
        """What was not answered in time, and what nobody had: to those that ask now."""
        breaker = self.kept.breaker
        since_at = max(breaker.since_at - 1, self.at_ms - permits.LEASE_MS - permits.SKEW_MS)
        if breaker.state is not HALF_OPEN or self._out():
            return
        if lent := self.kept.lent:
            since_at, breaker = lent.begun_at, replace(breaker, free=breaker.free + lent.out)
        if lent or self.kept.round:
            self.kept = replace(self.kept, breaker=breaker, round=None)
        if breaker.free > 0 and self._lend(next_round(self.clients, since_at, self._caller(), asking), ahead=1):
            self.publish()

    def renew(self) -> None:
        """Tell of another policy; not while permits are out, which a newer state makes void."""
        if self.kept.lent is None:
            breaker = self.kept.breaker
            self.kept = replace(self.kept, breaker=replace(breaker, seq=breaker.seq + 1))
            self.publish()

    def publish(self) -> None:
        policy = self.policy
        self.kept = replace(
            self.kept,
            slow_ms=policy.slow_call_duration_threshold_ms,
            permitted=policy.permitted_number_of_calls_in_half_open_state,
        )
        self.effects.append(published.state(self.name, self.kept, self.at_ms, policy))

    def _tell_of(self, events: Iterable[Event], kept: Kept, after: Breaker) -> None:
        """Which change no state."""
        for event in events:
            staying = published.staying(event, after, kept.breaker.window)
            self.effects.append(published.transition(self.name, kept, staying, after.seq, self.policy))

    def _follow(self, after: Breaker, event: Event | None) -> None:
        """To that state, which begins now: only OPEN goes on with the failures that brought it about."""
        kept, before = self.kept, self.kept.breaker
        if event and event.change:
            told = published.transition(self.name, kept, event, after.seq, self.policy)
            self.effects.append(told)
        if after.state is not OPEN:
            kept = replace(kept, first_failure=NOBODY, last_failure=NOBODY)
        self.kept = replace(kept, breaker=after, changed_at=self.at_ms, changed_seq=after.seq)
        self._enter(before.since_at)

    def _enter(self, since_at: int) -> None:
        if self.kept.breaker.state is HALF_OPEN and not self._out():
            self._lend(first_round(self.clients, since_at, self.at_ms, self._caller()), ahead=0)
        self.publish()

    def _answer(self, calls: int, client: str | None, seen_seq: int | None) -> None:
        lent = self.kept.round
        if lent and self.kept.breaker.state is HALF_OPEN:
            self.kept = replace(self.kept, round=lent.answered(client, calls, seen_seq))

    def _out(self) -> bool:
        """Whether permits are, even of an earlier HALF_OPEN."""
        lent = self.kept.round
        return lent is not None and self.now_ms < lent.over_at

    def _lend(self, clients: Sequence[str], *, ahead: int) -> bool:
        """All free permits, under the state of now or the next one, and no longer than it. Not without a client."""
        breaker = self.kept.breaker
        given = shares(clients, breaker.free)
        if given:
            seq = breaker.seq + ahead
            until_at = self.now_ms + permits.LEASE_MS
            lent = Round(seq, self.at_ms, min(until_at, breaker.until_at or until_at), given)
            self.kept = replace(self.kept, breaker=replace(breaker, free=0, seq=seq), round=lent)
        return bool(given)

    def _caller(self) -> str | None:
        """Whose calls alone it is for."""
        if scope_of(self.name) != "caller":
            return None
        return self.name.removeprefix(f"{service_of(self.name)}:from:")


MOVES = {
    "force-open": State.FORCED_OPEN,
    "close": State.CLOSED,
    "disable": State.DISABLED,
    "metrics-only": State.METRICS_ONLY,
}
