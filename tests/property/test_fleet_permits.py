"""Several clients try one service in HALF_OPEN, knowing only what is published (contract 4.2)."""

from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import BreakerState, State
from app.domain.breakers.permits import SKEW_MS
from tests.support.fleets import Row

START_AT = 1_000_000
CLIENTS = 3
numbers = st.integers(0, CLIENTS - 1)
skews = st.sampled_from([-999, 0, 999])  # so that two clocks differ by less than 2 s

policies = st.builds(
    Policy,
    sliding_window_size=st.just(4),
    minimum_number_of_calls=st.integers(1, 3),
    permitted_number_of_calls_in_half_open_state=st.sampled_from([1, 1, 2, 3]),
    wait_duration_in_open_state_ms=st.sampled_from([1_000, 1_000, 20_000]),
    max_wait_duration_in_half_open_state_ms=st.sampled_from([0, 0, 0, 5_000]),
    automatic_transition_from_open_to_half_open_enabled=st.booleans(),
)


class Trial(NamedTuple):
    """A call in HALF_OPEN; from `over_at` on it is taken for lost."""

    seq: int | None
    over_at: int


class Client:
    """It has read the first `read` states."""

    def __init__(self, name: str, skew_ms: int) -> None:
        self.name, self.skew_ms = name, skew_ms
        self.read = self.used = 0
        self.state: BreakerState | None = None
        self.trials: list[Trial] = []
        self.calls: list[int | None] = []  # what was seen when each began

    def learn(self, state: BreakerState) -> None:
        if self.state is None or state.seq > self.state.seq:
            self.state, self.used = state, 0

    def permitted(self, now_ms: int) -> bool:
        state = self.state
        if state is None or state.state is State.CLOSED:
            return True
        return (
            state.state is State.HALF_OPEN
            and now_ms + self.skew_ms < (state.permits_until_at or 0)
            and self.used < state.permits.get(self.name, 0)
        )

    @property
    def seen_seq(self) -> int | None:
        return self.state.seq if self.state else None

    def begin(self) -> None:
        if self.state and self.state.state is State.HALF_OPEN:
            assert self.state.permits_until_at
            self.used += 1
            self.trials.append(Trial(self.seen_seq, self.state.permits_until_at + SKEW_MS))
        else:
            self.calls.append(self.seen_seq)


class PermitMachine(RuleBasedStateMachine):
    @initialize(policy=policies, skews=st.lists(skews, min_size=CLIENTS, max_size=CLIENTS))
    def deploy(self, policy: Policy, skews: list[int]) -> None:
        self.row, self.now_ms, self.born = Row(policy), START_AT, 0
        self.clients = [self._client(skew_ms) for skew_ms in skews]
        for _ in range(4):
            self.somebody_without_a_client_calls("failure")
        self.now_ms += policy.wait_duration_in_open_state_ms + 1

    def _client(self, skew_ms: int) -> Client:
        self.born += 1
        return Client(f"client-{self.born}", skew_ms)

    @rule(ms=st.sampled_from([1_001, 4_000, 10_300, 12_000]), timers=st.booleans())
    def time_passes(self, ms: int, timers: bool) -> None:
        self.now_ms += ms
        if timers:
            self.row.fire(self.now_ms)

    @rule(n=numbers, read=st.integers(0, 2), lost=st.booleans())
    def a_client_wants_to_call(self, n: int, lost: bool, read: int = 0) -> None:
        """Maybe it has not read what is published by now."""
        client = self.clients[n]
        self._read(client, client.read + read)
        if client.permitted(self.now_ms):
            client.begin()
        elif not lost:
            self._report(client, "rejected", client.seen_seq)

    @rule(n=numbers)
    def a_client_reads_all_and_wants_to_call_twice(self, n: int) -> None:
        for _ in range(2):
            self._read(self.clients[n])
            self.a_client_wants_to_call(n, lost=False)

    def _read(self, client: Client, until: int | None = None) -> None:
        for state in self.row.states[client.read : until]:
            client.learn(state)
        client.read = len(self.row.states[:until])

    @rule(n=numbers, outcome=st.sampled_from(["failure", "success"]), lost=st.booleans())
    def a_call_ends(self, n: int, outcome: str, lost: bool) -> None:
        client = self.clients[n]
        if client.calls:
            seen_seq = client.calls.pop()
            if not lost:
                self._report(client, outcome, seen_seq)

    @rule(n=numbers, outcome=st.sampled_from(["failure", "success", "ignored"]), lost=st.booleans())
    def a_trial_call_ends(self, n: int, outcome: str, lost: bool) -> None:
        """Of an ignored one the client keeps the permit."""
        client = self.clients[n]
        if client.trials:
            trial = client.trials.pop()
            client.used -= outcome == "ignored" and trial.seq == client.seen_seq
            if not lost:
                self._report(client, outcome, trial.seq)

    @rule(n=numbers, skew_ms=skews)
    def a_client_dies_with_what_it_had_and_another_is_born(self, n: int, skew_ms: int) -> None:
        self.clients[n] = self._client(skew_ms)

    @rule(outcome=st.sampled_from(["failure", "success"]))
    def somebody_without_a_client_calls(self, outcome: str) -> None:
        self.row.call(outcome, self.now_ms)

    def _report(self, client: Client, outcome: str, seen_seq: int | None) -> None:
        self.row.call(outcome, self.now_ms, client=client.name, caller="orders", seen_seq=seen_seq)

    @invariant()
    def never_more_trial_calls_are_out_than_the_policy_permits(self) -> None:
        out = [trial for client in self.clients for trial in client.trials if self.now_ms < trial.over_at]
        assert len(out) <= self.row.policy.permitted_number_of_calls_in_half_open_state

    @invariant()
    def what_is_published_grows(self) -> None:
        seqs = [state.seq for state in self.row.states]
        assert seqs == sorted(set(seqs))

    def teardown(self) -> None:
        """From anywhere, one client that goes on, and a service that works: its breaker closes."""
        for _ in range(90):
            self.now_ms += 1_000
            self.row.wait(self.now_ms)
            self._read(self.clients[0])
            self.a_client_wants_to_call(0, lost=False)
            self.a_trial_call_ends(0, "success", lost=False)
            self.a_call_ends(0, "success", lost=False)
        assert self.row.kept.breaker.state is State.CLOSED


TestPermits = PermitMachine.TestCase
TestPermits.settings = settings(stateful_step_count=60)
