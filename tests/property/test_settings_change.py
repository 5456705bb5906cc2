"""Settings of breakers that change between two records: windows stay, and the next call is judged by the new ones."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import BreakerState, State
from app.domain.breakers.scopes import Scopes
from app.domain.breakers.window import WindowType
from app.domain.errors import PassedOver
from tests.support.fleets import Row

COUNTING = st.builds(
    Policy,
    failure_rate_threshold=st.sampled_from([30.0, 50.0, 70.0, 100.0]),
    sliding_window_size=st.integers(1, 6),
    minimum_number_of_calls=st.integers(1, 6),
)
ANY = st.builds(
    Policy,
    failure_rate_threshold=st.sampled_from([1.0, 50.0, 100.0]),
    slow_call_duration_threshold_ms=st.integers(1, 3),
    sliding_window_type=st.sampled_from(WindowType),
    sliding_window_size=st.integers(1, 4),
    minimum_number_of_calls=st.integers(1, 4),
    permitted_number_of_calls_in_half_open_state=st.integers(1, 3),
    wait_duration_in_open_state_ms=st.integers(1, 2_000),
    automatic_transition_from_open_to_half_open_enabled=st.booleans(),
    max_wait_duration_in_half_open_state_ms=st.sampled_from([0, 4]),
    transition_to_state_after_wait_duration=st.sampled_from(["OPEN", "CLOSED"]),
    initial_state=st.sampled_from(State),
)
SCOPES = st.builds(
    Scopes,
    kept=st.lists(st.sampled_from(["service", "operation", "caller"]), unique=True).map(tuple),
    most=st.integers(1, 3),
)
CALLS = st.tuples(
    st.sampled_from(["success", "failure", "timeout", "rejected", "ignored"]),
    st.sampled_from(["charge", "refund"]),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, "order-7f9c"]),
)
ACTS = st.sampled_from(["force-open", "close", "disable", "metrics-only", "reset"])


@given(policy=COUNTING, steps=st.lists(st.one_of(COUNTING, st.booleans()), max_size=30))
def test_the_newest_calls_stay_and_the_next_one_is_judged_with_them(policy: Policy, steps: list[Policy | bool]) -> None:
    row, model = Row(policy), list[bool]()
    row.call("ignored", 0)
    for at_ms, step in enumerate(steps):
        if isinstance(step, Policy):
            row.policy = policy = step
            continue
        row.call("failure" if step else "success", at_ms)
        size = policy.sliding_window_size
        model = [*model, step][-size:]
        enough = len(model) >= min(policy.minimum_number_of_calls, size)
        opens = enough and sum(model) * 100 / len(model) >= policy.failure_rate_threshold
        assert row.kept.breaker.state is (State.OPEN if opens else State.CLOSED)
        if opens:
            [opened] = row.transitions
            assert (opened.buffered_calls, opened.failed_calls) == (len(model), sum(model))
            break
        window = row.kept.breaker.window
        assert (window.buffered, window.failed) == (len(model), sum(model))


@given(
    policy=ANY,
    scopes=SCOPES,
    steps=st.lists(st.one_of(ANY, SCOPES, CALLS, ACTS, st.integers(1, 15_000)), max_size=40),
)
def test_in_every_state_any_other_settings_will_do(policy: Policy, scopes: Scopes, steps: list[object]) -> None:
    """And what is published of a breaker goes on, and never back."""
    row, now_ms = Row(policy, scopes), 0
    for step in steps:
        if isinstance(step, int):
            row.wait(now_ms := now_ms + step)
        else:
            take(row, step, now_ms)
    seen = defaultdict(list)
    for effect in row.effects:
        if isinstance(effect, BreakerState):
            seen[effect.breaker].append(effect.seq)
    assert all(seqs == sorted(set(seqs)) for seqs in seen.values())


def take(row: Row, step: object, now_ms: int) -> None:
    match step:
        case Policy():
            row.policy = step
        case Scopes():
            row.scopes = step
        case str():
            row.act(step, now_ms)
        case (outcome, operation, duration_ms, client):
            more = {"operation": operation, "caller": "order-service", "duration_ms": duration_ms, "client": client}
            with suppress(PassedOver):
                row.call(outcome, now_ms, **more)
