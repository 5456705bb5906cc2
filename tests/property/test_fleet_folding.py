"""A second of calls in one record is as good as each call in its own (contract 4.1)."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.breakers import kept
from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import State
from app.domain.breakers.folding import ORDER
from app.domain.breakers.window import WindowType
from tests.support.fleets import Row

policies = st.builds(
    Policy,
    failure_rate_threshold=st.sampled_from([20.0, 50.0, 100.0]),
    slow_call_rate_threshold=st.sampled_from([30.0, 100.0]),
    slow_call_duration_threshold_ms=st.just(5),
    sliding_window_type=st.sampled_from(WindowType),
    sliding_window_size=st.integers(1, 9),
    minimum_number_of_calls=st.integers(1, 9),
    permitted_number_of_calls_in_half_open_state=st.integers(1, 4),
    wait_duration_in_open_state_ms=st.integers(1, 9),
    initial_state=st.sampled_from(State),
)
counts = st.dictionaries(st.sampled_from(ORDER), st.integers(1, 30), min_size=1)
kinds = st.sampled_from(["success", "failure", "timeout", "rejected", "ignored"])
before = st.lists(st.tuples(kinds, st.sampled_from([0, 6]), st.integers(0, 600)), max_size=15)


def begun(policy: Policy, calls: list[tuple[str, int, int]]) -> tuple[Row, int]:
    row, at_ms = Row(policy), 1_000
    for outcome, duration_ms, passed_ms in calls:
        at_ms += passed_ms
        row.call(outcome, at_ms, duration_ms=duration_ms, client="c")
    row.effects.clear()
    return row, at_ms


def one_by_one(row: Row, at_ms: int, folded: dict[str, int], **more: Any) -> None:
    for kind in (*ORDER, "rejected", "ignored"):
        for _ in range(folded.get(kind, 0)):
            duration_ms = 6 if kind.startswith("slow_") else 0
            row.call(kind.removeprefix("slow_"), at_ms, duration_ms=duration_ms, **more)


def untimed(row: Row):
    """Folded calls do not say how long they took."""
    totals = replace(row.kept.totals, successful_ms=0, failed_ms=0, ignored_ms=0)
    return replace(row.fleet, breakers={"pay": replace(row.kept, totals=totals)}), row.effects


reporters = st.fixed_dictionaries(
    {"client": st.sampled_from([None, "c", "d"]), "seen_seq": st.sampled_from([None, 1, 9])}
)


@given(policies, before, counts, reporters, st.integers(0, 13_000))
def test_folded_calls_count_as_each_alone(policy, calls, folded, reporter, passed_ms):
    (together, at_ms), (alone, _) = begun(policy, calls), begun(policy, calls)
    together.fold(at_ms + passed_ms, folded, **reporter)
    one_by_one(alone, at_ms + passed_ms, folded, **reporter)
    assert untimed(together) == untimed(alone)


@given(policies, before, counts, st.integers(0, 9), st.integers(0, 9))
def test_so_do_those_that_were_not_made(policy, calls, folded, rejected, ignored):
    folded = folded | {"rejected": rejected, "ignored": ignored}
    (together, at_ms), (alone, _) = begun(policy, calls), begun(policy, calls)
    together.fold(at_ms, folded)
    one_by_one(alone, at_ms, folded)
    assert untimed(together) == untimed(alone)


def test_a_thousand_successes_are_a_few_steps(monkeypatch):
    steps, record = [], kept.machine.record
    monkeypatch.setattr(kept.machine, "record", lambda *told: steps.append(told) or record(*told))
    row = Row(Policy())
    for _ in range(3):
        row.fold(0, {"success": 1_000})
    assert (len(steps), row.kept.totals.successful) == (4, 3_000)
