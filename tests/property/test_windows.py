"""Both windows against a plain list of the calls, while time passes and the settings change."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.domain.breakers.window import NEVER, CountWindow, TimeWindow, Window

CALLS = st.integers(0, 3)
SIZES = st.integers(1, 5)
MINIMA = st.integers(1, 6)
STEPS_MS = st.sampled_from([0, 1, 400, 999, 1_000, 2_500, 7_000, -1_500])


def counts(calls: list[int]) -> tuple[int, int, int, int]:
    return len(calls), sum(c & 1 for c in calls), sum(c >> 1 for c in calls), sum(c == 3 for c in calls)


def check(window: Window, calls: list[int], minimum: int, at_least: int) -> None:
    assert (window.buffered, window.failed, window.slow, window.slow_failed) == counts(calls)
    failure_rate, slow_call_rate = window.rates(minimum)
    if calls and len(calls) >= at_least:
        assert abs(failure_rate - window.failed * 100 / len(calls)) < 0.001
        assert abs(slow_call_rate - window.slow * 100 / len(calls)) < 0.001
    else:
        assert (failure_rate, slow_call_rate) == (NEVER, NEVER)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(window), type=CountWindow | TimeWindow) == window


@given(st.lists(st.tuples(CALLS, SIZES)), SIZES, MINIMA)
def test_a_count_window_holds_the_newest_calls(steps, read_as, minimum):
    window, calls = CountWindow(), []
    for call, size in steps:
        window, calls = window.add(call, 0, size), [*calls, call][-size:]
        check(window, calls, minimum, min(minimum, size))
        check(window.at(0, read_as), calls[-read_as:], minimum, min(minimum, read_as))


@given(st.lists(CALLS), st.integers(1, 12), SIZES, SIZES, st.sampled_from([CountWindow(), TimeWindow()]))
def test_many_successes_at_once_are_as_many_one_by_one(calls, count, size, new_size, window):
    for second, call in enumerate(calls):
        window = window.add(call, second * 400, size)
    one_by_one = window
    for _ in range(count):
        one_by_one = one_by_one.add(0, 2_000, new_size)
    assert window.add_successes(count, 2_000, new_size) == one_by_one


@given(st.integers(1_000_000, 1_009_999), st.lists(st.tuples(STEPS_MS, CALLS, SIZES)), STEPS_MS, SIZES, MINIMA)
def test_a_time_window_holds_the_calls_of_the_newest_seconds(now_ms, steps, pause_ms, read_as, minimum):
    window, calls, newest = TimeWindow(), [], 0
    for step_ms, call, size in steps:
        now_ms += step_ms
        newest = max(newest, now_ms // 1_000)
        window = window.add(call, now_ms, size)
        calls = [(second, kept) for second, kept in [*calls, (newest, call)] if second > newest - size]
        check(window, [kept for _, kept in calls], minimum, minimum)
        read = max(newest, (now_ms + pause_ms) // 1_000)
        left = [kept for second, kept in calls if second > read - read_as]
        check(window.at(now_ms + pause_ms, read_as), left, minimum, minimum)


@given(st.lists(st.tuples(st.integers(1, 400), CALLS), max_size=5))
def test_a_time_window_stores_a_second_in_a_few_bytes_however_many_calls_it_had(seconds):
    window = TimeWindow()
    for second, (calls, call) in enumerate(seconds):
        for _ in range(calls):
            window = window.add(call, second * 1_000, 10)
        assert len(window.older) <= 8 * second
    assert window.at(20_000, 10) == TimeWindow(10, second=20)
