from contextlib import suppress

import msgspec
import pytest
from msgspec import structs

from app.client.breaker import CircuitBreaker
from app.client.errors import CallNotPermitted
from app.client.judging import CircuitBreakerPolicy, OpenFor
from app.client.part import straight
from app.client.report import Report
from app.client.scope import Scope, Who
from app.domain.breakers.calls import CallOutcome
from app.domain.breakers.folding import check
from app.wire.cloudevents import rfc3339
from app.wire.topics import CALL_OUTCOMES
from tests.support.memory_transport import MemoryTransport, Topics
from tests.support.virtual_clock import MS, VirtualClock

POLICY = CircuitBreakerPolicy(
    sliding_window_size=100,
    minimum_number_of_calls=100,
    slow_call_duration_threshold_ms=100,
    ignore_exceptions=("KeyError",),
)
WHO = Who("order-service", "order-7")
SERVICE = "payment-service"


class Reported:
    def __init__(self, *, single=False, policy=POLICY, room=10_000):
        self.clock, self.topics = VirtualClock(), Topics()
        self.clock.ns = 1_790_000_000_000 * MS
        self.transport = MemoryTransport(self.topics, room)
        self.report = Report(self.transport.send, WHO, single=single, clock=self.clock)
        self.breaker = CircuitBreaker(SERVICE, policy, self.clock)
        self.report.watch(self.breaker)

    def call(self, ms=0, error=None, **scope):
        def called():
            self.clock.advance(ms * MS)
            if error:
                raise error

        with suppress(OSError, KeyError, CallNotPermitted):
            self.breaker.about(Scope(SERVICE, **scope) if scope else None, straight)(called, (), {})

    def said(self):
        """What was sent since it was asked last, as the fleet reads it."""
        self.report.flush()
        sent, self.topics.sent = self.topics.sent, []
        return [CALL_OUTCOMES.codec.decode(each.value, tuple(each.headers.items())) for each in sent]


@pytest.fixture
def reported():
    return Reported()


def test_calls_are_counted_together_by_how_they_ended(reported):
    for error in (None, None, OSError(), TimeoutError(), KeyError()):
        reported.call(1, error)
    for error in (None, OSError(), TimeoutError()):
        reported.call(101, error)
    reported.breaker.move("FORCED_OPEN")
    reported.call()
    [said] = reported.said()
    assert said.counts == {
        "success": 2,
        "failure": 1,
        "timeout": 1,
        "ignored": 1,
        "rejected": 1,
        "slow_success": 1,
        "slow_failure": 1,
        "slow_timeout": 1,
    }
    assert said.took_ms == {
        "success": 2,
        "failure": 1,
        "timeout": 1,
        "ignored": 1,
        "slow_success": 101,
        "slow_failure": 101,
        "slow_timeout": 101,
    }
    assert (said.service, said.caller, said.client) == (SERVICE, *WHO)
    assert (said.slow_call_duration_ms, said.to_at - said.from_at) == (100, 307)


def test_what_a_call_is_about_keeps_it_apart(reported):
    reported.call(operation="charge", instance="pay-3")
    reported.call(operation="charge", instance="pay-3")
    reported.call(operation="refund")
    reported.call()
    said = {(each.operation, each.instance): each.counts["success"] for each in reported.said()}
    assert said == {("charge", "pay-3"): 2, ("refund", None): 1, (None, None): 1}


@pytest.mark.parametrize("error", [None, OSError()])
def test_no_record_has_more_than_a_second_or_a_thousand_calls(reported, error):
    for _ in range(2_500):
        reported.call(0, error)
    for _ in range(9):
        reported.call(300, error)
    said = reported.said()
    for each in said:
        check(each)
    assert sum(sum(each.counts.values()) for each in said) == 2_509


def test_nothing_is_said_where_nothing_happened(reported):
    assert reported.said() == []
    reported.call()
    assert len(reported.said()) == 1
    assert reported.said() == []


def test_a_record_is_a_cloud_event_in_binary_mode(reported):
    reported.call()
    reported.report.flush()
    [sent] = reported.topics.sent
    assert (sent.topic, sent.key) == ("iopt.call-outcomes", SERVICE.encode())
    assert sent.headers == {
        "ce_specversion": b"1.0",
        "ce_type": b"iopt.call.outcome",
        "ce_source": b"/order-service/order-7",
        "ce_id": b"order-7#1",
        "ce_subject": b"payment-service",
        "ce_time": rfc3339(1_790_000_000_000),
        "ce_dataschema": b"urn:iopt:iopt.call.outcome:1",
        "content-type": b"application/json",
    }


def test_single_records_say_how_long_each_call_took_and_its_error():
    reported = Reported(single=True)
    reported.call(7, operation="charge")
    reported.call(3, TimeoutError("late"))
    reported.breaker.move("FORCED_OPEN")
    reported.call()
    began = 1_790_000_000_000
    common = {"service": SERVICE, "caller": "order-service", "client": "order-7"}
    assert [msgspec.to_builtins(said) for said in reported.said()] == [
        {**common, "outcome": "success", "operation": "charge", "duration_ms": 7, "at": began + 7},
        {**common, "outcome": "timeout", "duration_ms": 3, "error": "TimeoutError", "at": began + 10},
        {**common, "outcome": "rejected", "at": began + 10},
    ]


def test_a_call_that_opens_the_breaker_by_its_result_is_said_by_itself():
    policy = structs.replace(POLICY, transition_on_result=lambda ended: OpenFor(500) if ended.error else None)
    reported = Reported(policy=policy)
    reported.call(2)
    reported.call(4, OSError())
    by_itself, folded = sorted(reported.said(), key=lambda said: said.outcome is None)
    assert (by_itself.outcome, by_itself.opens_until_at) == ("failure", 1_790_000_000_506)
    assert folded.counts == {"success": 1}


def test_what_finds_no_room_is_dropped_and_counted_and_no_call_fails():
    reported = Reported(room=0)
    for _ in range(7):
        reported.call()
    reported.call(0, OSError())
    assert reported.said() == []
    assert (reported.report.dropped, reported.report.sent) == (8, 0)


def test_too_many_kinds_of_calls_are_dropped_beyond_what_is_kept(reported):
    for n in range(10_050):
        reported.call(0, OSError(), instance=str(n))
    assert len(reported.said()) == 10_000
    assert reported.report.dropped == 50


def test_the_fleet_reads_what_is_written():
    reported = Reported()
    reported.call()
    reported.report.flush()
    [sent] = reported.topics.sent
    assert msgspec.json.decode(sent.value, type=CallOutcome).counts == {"success": 1}


def test_at_the_end_the_last_of_it_is_sent(reported):
    reported.call()
    reported.report.close()
    assert len(reported.topics.sent) == 1
