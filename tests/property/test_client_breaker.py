"""A breaker that only notes successes is at every moment in the state of one that judges each."""

from hypothesis import given
from hypothesis import strategies as st

from app.client.breaker import CircuitBreaker
from app.client.errors import CallNotPermitted
from app.client.judging import CircuitBreakerPolicy
from app.domain.breakers.window import WindowType
from tests.support.virtual_clock import MS, VirtualClock

policies = st.builds(
    CircuitBreakerPolicy,
    sliding_window_type=st.sampled_from(WindowType),
    sliding_window_size=st.integers(1, 6),
    minimum_number_of_calls=st.integers(1, 6),
    failure_rate_threshold=st.sampled_from([20.0, 50.0, 75.0]),
    slow_call_rate_threshold=st.sampled_from([40.0, 100.0]),
    slow_call_duration_threshold_ms=st.just(50),
    wait_duration_in_open_state_ms=st.just(1_500),
    permitted_number_of_calls_in_half_open_state=st.integers(1, 3),
)
calls = st.tuples(
    st.sampled_from([0, 0, 0, 1, 300, 999, 1_000, 2_500]),  # ms before it
    st.sampled_from([0, 0, 0, 51]),  # ms that it takes
    st.sampled_from([True, True, True, True, False]),
)


@given(policies, st.lists(calls, max_size=60), st.integers(0, 999))
def test_what_is_noted_counts_as_what_is_judged(policy, steps, began_ms):
    noting, judging = made(policy, began_ms), made(policy, began_ms)
    judging.on_event(lambda _: None)
    for pause_ms, ms, works in steps:
        assert [called(each, pause_ms, ms, works) for each in (noting, judging)] in ([True] * 2, [False] * 2)
        assert noting.state is judging.state
    assert noting.metrics() == judging.metrics()
    assert noting.recent_events() == judging.recent_events()


def made(policy, began_ms):
    clock = VirtualClock()
    clock.ns = (1_790_000_000_000 + began_ms) * MS
    return CircuitBreaker("pay", policy, clock)


def called(breaker, pause_ms, ms, works):
    """Whether it was permitted."""

    def call():
        breaker.clock.advance(ms * MS)
        if not works:
            raise OSError

    breaker.clock.advance(pause_ms * MS)
    try:
        breaker.call(call)
    except CallNotPermitted:
        return False
    except OSError:
        pass
    return True
