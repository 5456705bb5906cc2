"""The breaker against a model that keeps every call, and what holds in every state."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.domain.breakers.breaker import Breaker, Policy
from app.domain.breakers.calls import State, Transition
from app.domain.breakers.fleet import due
from tests.support.fleets import Row

policies = st.builds(
    Policy,
    failure_rate_threshold=st.sampled_from([1.0, 50.0, 100.0]),
    slow_call_rate_threshold=st.sampled_from([50.0, 100.0]),
    slow_call_duration_threshold_ms=st.just(5),
    sliding_window_size=st.integers(1, 4),
    minimum_number_of_calls=st.integers(1, 4),
    permitted_number_of_calls_in_half_open_state=st.integers(1, 3),
    wait_duration_in_open_state_ms=st.integers(1, 9),
    automatic_transition_from_open_to_half_open_enabled=st.booleans(),
    max_wait_duration_in_half_open_state_ms=st.sampled_from([0, 4]),
    transition_to_state_after_wait_duration=st.sampled_from(["OPEN", "CLOSED"]),
)

ALLOWED = {
    (State.CLOSED, State.OPEN): {"failure-rate", "slow-call-rate"},
    (State.OPEN, State.HALF_OPEN): {"wait"},
    (State.HALF_OPEN, State.OPEN): {"trial", "wait"},
    (State.HALF_OPEN, State.CLOSED): {"trial", "wait"},
}


class BreakerMachine(RuleBasedStateMachine):
    @initialize(policy=policies)
    def deploy(self, policy: Policy) -> None:
        self.row, self.now_ms = Row(policy), 1_000
        self.calls: list[tuple[bool, bool]] = []  # the model: failed and slow, since the window was last emptied
        self.seq = 0
        self.row.call("ignored", 1_000)

    @rule(ms=st.integers(1, 10))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms
        due_ms = due(self.row.fleet)
        if due_ms is not None and due_ms <= self.now_ms:
            self._take(self.row.fire(self.now_ms))
            if self.breaker.state is State.HALF_OPEN:
                self.calls = []

    @precondition(lambda self: self.breaker.until_at > self.now_ms)
    @rule()
    def time_passes_to_the_end_of_the_stay(self) -> None:
        self.time_passes(self.breaker.until_at - self.now_ms)

    @rule(outcome=st.sampled_from(["success", "failure", "timeout"]), duration_ms=st.sampled_from([None, 5, 6]))
    def a_call_ends(self, outcome: str, duration_ms: int | None) -> None:
        before = self.breaker
        effects = self.row.call(outcome, self.now_ms, duration_ms=duration_ms)
        if any(isinstance(effect, Transition) and effect.to is State.HALF_OPEN for effect in effects):
            self.calls = []
        self.calls.append((outcome != "success", duration_ms == 6))
        self._take(effects)
        if before.state is State.OPEN and self.now_ms <= before.until_at:
            assert self.breaker.state is State.OPEN

    @rule(outcome=st.sampled_from(["rejected", "ignored"]))
    def a_call_is_not_made(self, outcome: str) -> None:
        before = self.breaker
        effects = self.row.call(outcome, self.now_ms)
        asks = outcome == "rejected" and before.state is State.OPEN and self.now_ms > before.until_at
        assert bool(effects) == asks
        if asks:
            self.calls = []
        else:
            assert self.breaker.window == before.window
        self._take(effects)

    def _take(self, effects) -> None:
        for transition, published in zip(effects[::2], effects[1::2], strict=True):
            self.seq += 1
            assert transition.cause in ALLOWED[transition.from_, transition.to]
            assert transition.seq == published.seq == self.seq
            assert (published.state, published.since_at) == (transition.to, self.now_ms)
            assert bool(transition.failed_calls) == (transition.last_failure.at is not None)
            if transition.cause in ("failure-rate", "slow-call-rate", "trial"):
                self._check_verdict(transition)
            if transition.to is State.CLOSED:
                self.calls = []

    def _check_verdict(self, transition) -> None:
        """By the model's own sums: what the newest calls were, and which threshold they met."""
        calls = self.calls[-transition.buffered_calls :]
        failed, slow = (sum(column) * 100 / len(calls) for column in zip(*calls, strict=True))
        failing = failed >= self.row.policy.failure_rate_threshold
        slowing = slow >= self.row.policy.slow_call_rate_threshold
        assert (transition.to is State.OPEN) == (failing or slowing)
        assert transition.cause == "trial" or (transition.cause == "failure-rate") == failing
        assert len(calls) >= min(self.row.policy.minimum_number_of_calls, self._size(transition.from_))

    def _size(self, state: State) -> int:
        if state is State.CLOSED:
            return self.row.policy.sliding_window_size
        return self.row.policy.permitted_number_of_calls_in_half_open_state

    @property
    def breaker(self) -> Breaker:
        return self.row.kept.breaker

    @invariant()
    def the_window_holds_the_newest_calls(self) -> None:
        window = self.breaker.window
        newest = self.calls[-window.buffered :] if window.buffered else []
        assert list(window.calls) == [failed | slow << 1 for failed, slow in newest]
        assert window.failed == sum(failed for failed, _ in newest)
        assert window.slow == sum(slow for _, slow in newest)
        assert window.slow_failed == sum(failed and slow for failed, slow in newest)

    @invariant()
    def a_verdict_is_never_left_open(self) -> None:
        """CLOSED never stands above a threshold, HALF_OPEN never has all its probes."""
        if self.breaker.state is State.CLOSED:
            failed, slow = self.breaker.window.rates(self.row.policy.minimum_number_of_calls)
            assert failed < self.row.policy.failure_rate_threshold
            assert slow < self.row.policy.slow_call_rate_threshold
        if self.breaker.state is State.HALF_OPEN:
            assert self.breaker.window.buffered < self._size(State.HALF_OPEN)

    def teardown(self) -> None:
        """From anywhere, a service that works is called again: no state is a dead end."""
        for _ in range(20):
            if self.breaker.state is State.OPEN:
                self.time_passes(10)
            self.a_call_ends("success", None)
        assert self.breaker.state is State.CLOSED


TestBreaker = BreakerMachine.TestCase
