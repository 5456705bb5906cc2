"""Several processes that call one service, and the row that judges it: however slow their words are, and however wrong
their clocks, in HALF_OPEN no more calls are tried than the fleet permits, and it ends.

Clocks differ from the row's by less than 2 s; states arrive sooner than a breaker waits in OPEN.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from app.client.errors import CallNotPermitted
from app.client.judging import CircuitBreakerPolicy
from app.domain.breakers.breaker import State
from app.domain.breakers.calls import BreakerState, CallOutcome
from app.domain.breakers.permits import SKEW_MS
from app.domain.errors import PassedOver
from tests.support.fleets import Row
from tests.support.members import PAY, Member
from tests.support.virtual_clock import MS

OPEN_MS = 1_000
FLUSH_MS = 500


class Trial(NamedTuple):
    member: Member
    seq: int
    round: int | None  # of the fleet's HALF_OPEN in which it began


class FleetMachine(RuleBasedStateMachine):
    @initialize(
        permitted=st.integers(1, 4),
        skews=st.lists(st.integers(-SKEW_MS + 1, SKEW_MS - 1), min_size=2, max_size=5),
        report_ms=st.sampled_from([0, 3, 700]),
        state_ms=st.sampled_from([0, 3, OPEN_MS - 1]),
    )
    def begin(self, permitted: int, skews: list[int], report_ms: int, state_ms: int) -> None:
        policy = CircuitBreakerPolicy(
            sliding_window_size=3,
            minimum_number_of_calls=3,
            permitted_number_of_calls_in_half_open_state=permitted,
            wait_duration_in_open_state_ms=OPEN_MS,
        )
        self.row, self.now_ms, self.permitted = Row(policy, service=PAY), 1_000_000, permitted
        self.report_ms, self.state_ms = report_ms, state_ms
        self.members = [Member(f"c-{n}", policy=policy) for n in range(len(skews))]
        for member, skew in zip(self.members, skews, strict=True):
            member.clock.ns = (self.now_ms + skew) * MS
        self.reports: list[tuple[int, CallOutcome]] = []
        self.states: list[tuple[int, BreakerState]] = []
        self.calls: list[Trial] = []
        self.published = self.round = self.begun = 0
        self.it_fails_until_it_is_tried(0)

    @precondition(lambda self: self.row.kept.breaker.state is not State.HALF_OPEN)
    @rule(who=st.integers(0, 4))
    def it_fails_until_it_is_tried(self, who: int) -> None:
        """Calls that began before are still at work then."""
        for first in range(len(self.members)):
            self.a_call_begins(first)
        for _ in range(12):
            at_work = len(self.calls)
            self.a_call_begins(who)
            if len(self.calls) > at_work:
                self.a_call_ends(-1, "failure")
            self.time_passes(FLUSH_MS)

    @rule(ms=st.sampled_from([1, 100, 400, 1_001, 5_000, 12_500]))
    def time_passes(self, ms: int) -> None:
        while ms > 0:
            step_ms = min(ms, FLUSH_MS)
            ms -= step_ms
            self._step(step_ms)

    @rule(who=st.integers(0, 4))
    def a_call_begins(self, who: int) -> None:
        member = self.members[who % len(self.members)]
        try:
            seq = member.pay.acquire()
        except CallNotPermitted:
            self._heed(member)
            return
        told = member.pay.told
        trying = told is not None and told.state is State.HALF_OPEN
        if trying:
            self.begun += 1
            assert self.begun <= self.permitted
        self.calls.append(Trial(member, seq, self.round if trying else None))

    @precondition(lambda self: self.row.kept.round)
    @rule()
    def permits_are_not_used_in_time(self) -> None:
        lent = self.row.kept.round
        assert lent
        self.time_passes(max(1, lent.over_at - self.now_ms))
        for pause_ms in (FLUSH_MS + self.report_ms, self.state_ms + 1, 1):
            for who in range(len(self.members)):
                self.a_call_begins(who)
            self.time_passes(pause_ms)

    @rule()
    def the_newest_state_is_read_again(self) -> None:
        if self.row.states:
            self._hear(self.row.states[self.published - len(self.states) - 1])

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 20), how=st.sampled_from(["success", "failure", "failure", "cancelled"]))
    def a_call_ends(self, which: int, how: str) -> None:
        call = self.calls.pop(which % len(self.calls))
        if how == "cancelled":
            call.member.pay.release(call.seq)
            self.begun -= call.round == self.round
        elif how == "success":
            call.member.pay.success(1, seq=call.seq)
        else:
            call.member.pay.error(1, OSError(), call.seq)
        self._heed(call.member)

    def teardown(self) -> None:
        """A service that works is called again by all in the end."""
        for _ in range(60):
            for who in range(len(self.members)):
                self.a_call_begins(who)
            while self.calls:
                self.a_call_ends(0, "success")
            self.time_passes(OPEN_MS)
        assert self.row.kept.breaker.state is State.CLOSED
        assert all(member.pay.state is State.CLOSED for member in self.members)

    def _heed(self, member: Member) -> None:
        if member.report.urgent.is_set():
            member.report.urgent.clear()
            self._flush(member)

    def _flush(self, member: Member) -> None:
        member.report.flush()
        sent, member.topics.sent = member.topics.sent, []
        for each in sent:
            self.reports.append((self.now_ms + self.report_ms, msgspec.json.decode(each.value, type=CallOutcome)))

    def _step(self, ms: int) -> None:
        """In the order of time: what arrives, timers, and what is told of both."""
        until_ms = self.now_ms + ms
        while (next_ms := min([at for at, _ in (*self.reports, *self.states)], default=until_ms)) < until_ms:
            self._go(max(next_ms, self.now_ms))
        self._go(until_ms)
        for member in self.members:
            self._flush(member)

    def _go(self, at_ms: int) -> None:
        for member in self.members:
            member.clock.ns += (at_ms - self.now_ms) * MS
        self.row.wait(at_ms)
        self.now_ms = at_ms
        self._publish()
        while self.reports and self.reports[0][0] <= at_ms:
            self._tell(self.reports.pop(0)[1])
        while self.states and self.states[0][0] <= at_ms:
            self._hear(self.states.pop(0)[1])

    def _tell(self, outcome: CallOutcome) -> None:
        try:
            self.row.tell(outcome, self.now_ms)
        except PassedOver:
            return
        self._publish()

    def _publish(self) -> None:
        for state in self.row.states[self.published :]:
            self.states.append((self.now_ms + self.state_ms, state))
            if state.permits:
                self.round, self.begun = state.seq, 0
        self.published = len(self.row.states)

    def _hear(self, state: BreakerState) -> None:
        for member in self.members:
            member.topics.tell(PAY, msgspec.json.encode(state))
            member.fleet.hear()


TestFleet = FleetMachine.TestCase
TestFleet.settings = settings(max_examples=40)
