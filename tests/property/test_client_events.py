"""Whatever happens, and whenever it is told: what is told adds up to what happened."""

from collections import Counter
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from app.client.bulkhead import Bulkhead
from app.client.errors import RequestNotPermitted
from app.client.rate_limiter import RateLimiter
from app.client.report import Report
from app.client.retry import Retry, RetryPolicy
from app.client.scope import Who
from app.domain.client_events import MOST, TYPES, parted
from app.domain.rate_limiter import RateLimiterPolicy
from app.wire.topics import CLIENT_EVENTS
from tests.support.virtual_clock import MS, VirtualClock


class Wandering(VirtualClock):
    """Its wall clock is set back now and then."""

    back_ms = 0

    def wall_ms(self):
        return super().wall_ms() - self.back_ms


class Process(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.clock, self.sent, self.happened = Wandering(), [], Counter()
        self.clock.ns = 1_790_000_000_000 * MS
        who = Who("order-service", "order-7")
        self.report = Report(lambda *record: self.sent.append(record), who, clock=self.clock)
        policy = RetryPolicy(max_attempts=3, wait_ms=0, ignore_exceptions=(KeyError,))
        limits = RateLimiterPolicy(limit_for_period=9, timeout_duration_ns=0)
        self.retry = self.watched(Retry("pay", policy, self.clock))
        self.limiter = self.watched(RateLimiter("pay", limits, self.clock))
        self.bulkhead = self.watched(Bulkhead("pay", clock=self.clock))

    def watched(self, part):
        part.on_event(lambda event: self.happened.update([(part.kind, event.type)]))
        self.report.watch(part)
        return part

    @rule(errors=st.lists(st.sampled_from([OSError("one"), KeyError("two"), None]), max_size=4))
    def a_call_fails_with_each_in_turn(self, errors):
        left = list(errors)

        def fn():
            if left and (error := left.pop(0)):
                raise error

        with suppress(OSError, KeyError, RequestNotPermitted):
            self.retry.call(self.limiter.call, fn)

    @rule(calls=st.integers(1, 900))
    def many_calls_are_held(self, calls):
        for _ in range(calls):
            self.bulkhead.call(int)

    @rule(ms=st.integers(0, 1_700))
    def time_passes(self, ms):
        self.clock.advance(ms * MS)

    @rule(ms=st.integers(1, 3_000))
    def the_wall_clock_is_set_back(self, ms):
        self.clock.back_ms += ms

    @rule()
    def it_is_told(self):
        self.report.flush()

    def teardown(self):
        self.report.close()
        told = Counter()
        for _, _, value, headers in self.sent:
            said = CLIENT_EVENTS.codec.decode(value, headers)
            told.update({(said.family, type_): count for type_, count in said.counts.items()})
            assert said.family != "retry" or said.counts.keys() - {"IGNORED_ERROR"} == (said.attempts or {}).keys()
        assert told == self.happened
        assert self.report.events_sent == sum(self.happened.values())


TestProcess = Process.TestCase


@given(st.dictionaries(st.sampled_from(TYPES["retry"]), st.integers(0, 3 * MOST)))
def test_counts_are_parted_into_as_few_records_as_hold_them(counts):
    parts = list(parted(counts))
    assert sum(map(Counter, parts), Counter()) == +Counter(counts)
    assert all(0 < sum(part.values()) <= MOST and all(part.values()) for part in parts)
    assert len(parts) == -(-sum(counts.values()) // MOST)
