"""What Resilience4j does not say: evidence, sequence numbers, what is not counted."""

import msgspec
import pytest

from app.domain.breaker import Policy
from app.domain.calls import BreakerState, CallOutcome, Sighting, State
from app.domain.errors import PassedOver
from app.domain.interval import fixed, randomized
from app.domain.kept import Kept, decide, due, expire
from app.domain.window import WindowType

POLICY = Policy(
    sliding_window_size=4,
    minimum_number_of_calls=4,
    wait_duration_in_open_state_ms=1_000,
    permitted_number_of_calls_in_half_open_state=2,
)


def call(outcome: str, **more) -> CallOutcome:
    return CallOutcome(service="pay", outcome=outcome, **more)


def run(*steps: tuple[int, CallOutcome], policy: Policy = POLICY, kept: Kept | None = None):
    changes = []
    for at_ms, outcome in steps:
        kept, new = decide(kept, outcome, at_ms, policy)
        changes += new
    return kept, changes


def opened(policy: Policy = POLICY) -> Kept:
    return run(*((n, call("failure")) for n in range(4)), policy=policy)[0]


def test_a_change_carries_its_evidence():
    _, [change] = run(
        (10, call("success")),
        (20, call("failure", caller="orders", instance="pay-3", operation="charge", error="ConnectTimeout")),
        (30, call("success", duration_ms=60_001)),
        (40, call("timeout", caller="carts")),
    )
    opening = change.transition
    assert (opening.from_, opening.to, opening.cause, opening.at) == (State.CLOSED, State.OPEN, "failure-rate", 40)
    assert (opening.failure_rate, opening.slow_call_rate) == (50.0, 25.0)
    assert (opening.buffered_calls, opening.failed_calls, opening.slow_calls) == (4, 2, 1)
    assert opening.first_failure == Sighting(
        at=20, outcome="failure", caller="orders", instance="pay-3", operation="charge", error="ConnectTimeout"
    )
    assert opening.last_failure == Sighting(at=40, outcome="timeout", caller="carts")


def test_the_published_state_says_until_when_and_how_many_may_probe():
    _, [change] = run(*((n, call("failure")) for n in range(4)))
    assert change.state == BreakerState(
        breaker="pay",
        service="pay",
        scope="service",
        state=State.OPEN,
        since_at=3,
        until_at=1_003,
        permits_half_open=2,
        failure_rate=100.0,
        slow_call_rate=0.0,
        slow_call_duration_ms=60_000,
        config_version=1,
        seq=1,
        at=3,
    )


def test_seq_grows_by_one_with_every_change():
    _, changes = run(
        *((n, call("failure")) for n in range(4)),
        (1_004, call("failure")),
        (1_005, call("failure")),
        (2_006, call("success")),
        (2_007, call("success")),
    )
    assert [(c.transition.to, c.transition.cause, c.transition.seq) for c in changes] == [
        ("OPEN", "failure-rate", 1),
        ("HALF_OPEN", "wait", 2),
        ("OPEN", "trial", 3),
        ("HALF_OPEN", "wait", 4),
        ("CLOSED", "trial", 5),
    ]
    assert [c.state.seq for c in changes] == [1, 2, 3, 4, 5]


def test_slow_calls_alone_open_it_with_that_cause():
    _, [change] = run(*((n, call("success", duration_ms=60_001)) for n in range(4)))
    assert (change.transition.cause, change.transition.first_failure) == ("slow-call-rate", Sighting())


def test_one_call_may_begin_and_end_the_trial():
    policy = msgspec.structs.replace(POLICY, permitted_number_of_calls_in_half_open_state=1)
    kept, changes = run((1_004, call("success")), policy=policy, kept=opened(policy))
    assert [change.transition.to for change in changes] == ["HALF_OPEN", "CLOSED"]
    assert kept.breaker.window.buffered == 0


def test_the_first_failure_is_that_of_the_failures_in_the_window():
    policy = msgspec.structs.replace(POLICY, failure_rate_threshold=100.0)
    kept, _ = run((1, call("failure")), *((n, call("success")) for n in range(2, 6)), policy=policy)
    assert (kept.first_failure, kept.last_failure) == (Sighting(), Sighting())
    kept, _ = run((6, call("failure")), (7, call("failure")), policy=policy, kept=kept)
    assert (kept.first_failure.at, kept.last_failure.at) == (6, 7)


def test_it_stays_open_at_exactly_the_wait():
    for outcome in ("success", "failure"):
        kept, changes = run((1_003, call(outcome)), kept=opened())
        assert (kept.breaker.state, kept.breaker.window.buffered, changes) == (State.OPEN, 4, [])
    assert run((1_004, call("success")), kept=opened())[0].breaker.state is State.HALF_OPEN


def test_rejected_calls_are_counted_and_judge_nothing():
    kept, changes = run((5_000, call("rejected")), kept=opened())
    assert (kept.breaker.state, kept.breaker.not_permitted, changes) == (State.OPEN, 1, [])


def test_ignored_calls_leave_no_trace():
    before = opened()
    assert decide(before, call("ignored"), 5_000, POLICY) == (before, ())
    assert decide(None, call("ignored"), 0, POLICY) == (None, ())


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(CallOutcome(service="pay", counts={"failure": 9}), "folded-counts"), (call("postponed"), "unknown-outcome")],
)
def test_what_is_not_counted_yet_is_passed_over(outcome, reason):
    with pytest.raises(PassedOver) as passed:
        decide(None, outcome, 0, POLICY)
    assert passed.value.reason == reason


def test_an_outcome_names_either_an_outcome_or_counts():
    for body in (b'{"service":"pay"}', b'{"service":"pay","outcome":"success","counts":{}}'):
        with pytest.raises(msgspec.ValidationError, match="expected either `outcome` or `counts`"):
            msgspec.json.decode(body, type=CallOutcome)


def test_only_the_automatic_transition_needs_a_timer():
    automatic = msgspec.structs.replace(POLICY, automatic_transition_from_open_to_half_open_enabled=True)
    assert due(opened()) is None
    assert due(opened(automatic)) == 1_003


def test_a_timer_that_comes_too_early_or_too_late_does_nothing():
    automatic = msgspec.structs.replace(POLICY, automatic_transition_from_open_to_half_open_enabled=True)
    for kept, now_ms in ((opened(automatic), 1_002), (opened(), 5_000)):
        assert expire(kept, "pay", now_ms, automatic) == (kept, ())


def test_a_state_that_waited_for_a_stopped_worker_begins_when_it_is_decided():
    automatic = msgspec.structs.replace(POLICY, automatic_transition_from_open_to_half_open_enabled=True)
    kept, [change] = expire(opened(automatic), "pay", 90_000, automatic)
    assert (change.transition.at, kept.breaker.since_at, kept.breaker.state) == (
        90_000,
        90_000,
        State.HALF_OPEN,
    )


def test_a_smaller_window_in_the_settings_keeps_the_newest_calls():
    loose = msgspec.structs.replace(POLICY, sliding_window_size=10, minimum_number_of_calls=10)
    kept, _ = run(
        *((n, call("failure")) for n in range(5)), *((n, call("success")) for n in range(5, 9)), policy=loose
    )
    kept, changes = run((9, call("success")), kept=kept)
    assert (kept.breaker.window.buffered, kept.breaker.window.failed, changes) == (4, 0, [])


def test_a_randomized_wait_is_as_long_when_it_is_replayed_and_another_the_next_time():
    policy = Policy(minimum_number_of_calls=1, wait_interval_in_open_state=randomized(fixed(1_000_000), 0.5))
    waits = []
    for _ in range(2):
        kept, _ = run((0, call("failure")), (3_000_000, call("failure")), policy=policy)
        waits += [opened_ms(kept), opened_ms(run((0, call("failure")), policy=policy)[0])]
    assert waits[:2] == waits[2:]
    assert len(set(waits)) == 2
    assert all(500_000 <= wait_ms <= 1_500_000 for wait_ms in waits)


def opened_ms(kept: Kept) -> int:
    assert kept.breaker.state is State.OPEN
    return kept.breaker.until_at - kept.breaker.since_at


def test_a_time_window_counts_the_seconds_up_to_the_call():
    policy = Policy(sliding_window_type=WindowType.TIME_BASED, sliding_window_size=10, minimum_number_of_calls=4)
    calls = [(n * 4_000, call("failure")) for n in range(9)]
    kept, changes = run(*calls, policy=policy)
    assert (kept.breaker.state, kept.breaker.window.buffered, changes) == (State.CLOSED, 3, [])
    _, [change] = run((32_001, call("failure")), policy=policy, kept=kept)
    assert (change.transition.to, change.transition.buffered_calls) == (State.OPEN, 4)


def test_a_rate_is_shown_as_java_shows_it():
    policy = msgspec.structs.replace(
        POLICY, sliding_window_size=3, minimum_number_of_calls=3, failure_rate_threshold=33
    )
    _, [change] = run((1, call("success")), (2, call("success")), (3, call("failure")), policy=policy)
    assert change.transition.failure_rate == 33.333332
