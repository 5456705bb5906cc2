"""One breaker under calls in flight, late answers, timers, acts and new settings: what holds in every state."""

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.domain.breakers import breaker as machine
from app.domain.breakers.breaker import Breaker, NoSuchChange, Outcome, Policy, State, Verdict
from app.domain.breakers.window import WindowType
from app.domain.interval import exponential, linear, randomized

POLICIES = st.builds(
    Policy,
    failure_rate_threshold=st.sampled_from([1.0, 50.0, 100.0]),
    slow_call_rate_threshold=st.sampled_from([50.0, 100.0]),
    slow_call_duration_threshold_ms=st.just(5),
    sliding_window_type=st.sampled_from(WindowType),
    sliding_window_size=st.integers(1, 4),
    minimum_number_of_calls=st.integers(1, 5),
    permitted_number_of_calls_in_half_open_state=st.integers(1, 3),
    wait_interval_in_open_state=st.sampled_from([None, linear(1, 700), randomized(exponential(100, 2, 900), 1.0)]),
    automatic_transition_from_open_to_half_open_enabled=st.booleans(),
    max_wait_duration_in_half_open_state_ms=st.sampled_from([0, 400]),
    transition_to_state_after_wait_duration=st.sampled_from(["OPEN", "CLOSED"]),
    initial_state=st.sampled_from(State),
)
OUTCOMES = st.builds(
    Outcome,
    duration_ms=st.sampled_from([0, 5, 5.1]),
    verdict=st.sampled_from(Verdict),
    opens_until=st.sampled_from([None, None, None, 0, 10**10]),
)
ENTERED_BY_HAND = (State.DISABLED, State.FORCED_OPEN, State.METRICS_ONLY)


class BreakerMachine(RuleBasedStateMachine):
    @initialize(policy=POLICIES)
    def deploy(self, policy: Policy) -> None:
        self.policy, self.now_ms = policy, 1_000_000
        self.breaker = machine.begun(policy, self.now_ms)
        self.flying: list[int] = []  # the calls in flight, by the state under which each was begun
        self._begin_counting()

    def _begin_counting(self) -> None:
        self.permitted = self.policy.permitted_number_of_calls_in_half_open_state
        self.longest_ms = self.policy.max_wait_duration_in_half_open_state_ms
        self.given = self.returned = self.late = 0

    @rule(policy=POLICIES)
    def the_settings_change(self, policy: Policy) -> None:
        self.policy = policy

    @rule(ms=st.sampled_from([0, 1, 399, 400, 1_000, 60_000]), timers=st.booleans())
    def time_passes(self, ms: int, timers: bool) -> None:
        self.now_ms += ms
        due_ms = machine.due(self.breaker)
        if timers and due_ms is not None and due_ms <= self.now_ms:
            before = self.breaker
            self._take(machine.expire(before, self.now_ms, self.policy))
            assert self.breaker.state is not before.state

    @precondition(lambda self: self.breaker.until_at > self.now_ms)
    @rule(more_ms=st.integers(-1, 1))
    def time_passes_to_about_the_end_of_the_stay(self, more_ms: int) -> None:
        self.time_passes(self.breaker.until_at - self.now_ms + more_ms, timers=True)

    @rule()
    def a_call_asks(self) -> None:
        before = self.breaker
        breaker, permitted, events = machine.permit(before, self.now_ms, self.policy)
        self._take((breaker, events))
        self.given += permitted
        if permitted:
            self.flying.append(breaker.seq)
        if before.state is State.OPEN:
            assert permitted == (self.now_ms > before.until_at)
        if before.state is State.HALF_OPEN:
            assert permitted == (before.free > 0)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), outcome=OUTCOMES)
    def a_call_ends(self, data: st.DataObject, outcome: Outcome) -> None:
        begun_under = self._lands(data)
        ignored = outcome.verdict is Verdict.IGNORED
        self._back(begun_under, ignored)
        outcome = msgspec.structs.replace(outcome, seq=begun_under)
        before = self.breaker
        breaker, events = machine.record(before, outcome, self.now_ms, self.policy, 0.25)
        if events:
            assert events[0].late == (begun_under != before.seq)
        self._take((breaker, events))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def a_call_is_not_made_after_all(self, data: st.DataObject) -> None:
        self._back(self._lands(data), True)
        self.breaker = machine.release(self.breaker)

    @rule(to=st.sampled_from(State))
    def someone_changes_it_by_hand(self, to: State) -> None:
        refused = {State.CLOSED: [State.HALF_OPEN], State.METRICS_ONLY: [State.OPEN, State.HALF_OPEN]}
        if to in refused.get(self.breaker.state, ()):
            with pytest.raises(NoSuchChange):
                machine.move(self.breaker, to, self.now_ms, self.policy)
        else:
            self._take(machine.move(self.breaker, to, self.now_ms, self.policy))
            assert self.breaker.state is to

    @precondition(lambda self: self.breaker.state is not State.METRICS_ONLY)
    @rule(ms=st.sampled_from([-5, 0, 400]))
    def someone_opens_it_for_a_while(self, ms: int) -> None:
        self._take(machine.open_until(self.breaker, self.now_ms + ms, self.now_ms, self.policy))

    @rule()
    def someone_resets_it(self) -> None:
        self._take(machine.reset(self.breaker, self.now_ms, self.policy))
        assert machine.due(self.breaker) is None
        assert machine.metrics(self.breaker, self.now_ms, self.policy).buffered == 0

    def _take(self, step) -> None:
        before, (self.breaker, events) = self.breaker, step
        changes = [event.change for event in events if event.change]
        assert all(change.from_ is not change.to for change in changes)
        assert all(event.at == self.now_ms for event in events)
        if changes:
            assert (changes[0].from_, changes[-1].to) == (before.state, self.breaker.state)
        if self.breaker.seq != before.seq:
            assert self.breaker.seq == before.seq + 1
            self._begin_counting()
        else:
            assert self.breaker.state is before.state

    def _lands(self, data: st.DataObject) -> int:
        return self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))

    def _back(self, begun_under: int, unused: bool) -> None:
        self.returned += unused
        self.late += unused and begun_under != self.breaker.seq

    @invariant()
    def half_open_gives_out_no_more_than_it_may(self) -> None:
        """Where nobody gives back what he was never given: late releases make permits, as in Resilience4j."""
        if self.breaker.state is State.HALF_OPEN:
            assert self.breaker.free == self.permitted - self.given + self.returned >= 0
            in_flight_or_done = self.given - (self.returned - self.late)
            assert in_flight_or_done <= self.permitted + self.late

    @invariant()
    def half_open_is_never_stuck(self) -> None:
        """Whoever waits for it, waits for a call that is still in flight."""
        if self.breaker.state is State.HALF_OPEN and self.breaker.seq not in self.flying:
            assert self.breaker.free > 0

    @invariant()
    def half_open_ends_by_a_timer_where_it_has_a_longest_wait(self) -> None:
        if self.breaker.state is State.HALF_OPEN:
            ends_at = self.breaker.since_at + self.longest_ms if self.longest_ms else None
            assert machine.due(self.breaker) == ends_at

    @invariant()
    def totals_are_those_of_calls(self) -> None:
        seen = machine.metrics(self.breaker, self.now_ms, self.policy)
        for kept in (self.breaker.window, seen):
            assert 0 <= kept.slow_failed <= min(kept.failed, kept.slow)
            assert max(kept.failed, kept.slow) <= kept.buffered
        assert seen.not_permitted >= 0
        if self.breaker.state is State.HALF_OPEN:
            assert seen.buffered < self.permitted

    @invariant()
    def it_is_stored_and_read_as_it_is(self) -> None:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(self.breaker), type=Breaker) == self.breaker

    def teardown(self) -> None:
        """From anywhere, a service that works is called again, once nobody keeps it from that by hand."""
        if self.breaker.state in ENTERED_BY_HAND:
            self.someone_resets_it()
        for _ in range(8):
            for begun_under in self.flying:
                outcome = Outcome(0, seq=begun_under)
                self._take(machine.record(self.breaker, outcome, self.now_ms, self.policy))
            self.flying = []
            self.now_ms = max(self.now_ms, self.breaker.until_at) + 1
            self.a_call_asks()
        assert self.breaker.state is State.CLOSED


TestBreaker = BreakerMachine.TestCase
