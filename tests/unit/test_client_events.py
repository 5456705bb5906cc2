import pytest

from app.client.breaker import CircuitBreaker
from app.client.bulkhead import Bulkhead
from app.client.errors import BulkheadFull, RequestNotPermitted, TimeLimitExceeded
from app.client.fleet import Fleet
from app.client.hedge import Hedge
from app.client.rate_limiter import RateLimiter
from app.client.report import Report
from app.client.resilience import Resilience
from app.client.retry import Retry, RetryPolicy
from app.client.scope import Who
from app.client.thread_pool_bulkhead import ThreadPoolBulkhead
from app.client.time_limiter import TimeLimiter
from app.domain.bulkhead import BulkheadPolicy
from app.domain.client_events import ClientEvents
from app.domain.rate_limiter import RateLimiterPolicy
from app.wire.cloudevents import rfc3339
from app.wire.topics import CALL_OUTCOMES, CLIENT_EVENTS
from tests.support.memory_transport import MemoryTransport, Topics
from tests.support.virtual_clock import MS, VirtualClock

WHO = Who("order-service", "order-7")
BEGAN = 1_790_000_000_000
SECOND = 1_000 * MS


class Process:
    """That reports; what it said is read as workers read it."""

    def __init__(self, room=10_000):
        self.clock, self.topics = VirtualClock(), Topics()
        self.clock.ns = BEGAN * MS
        self.transport = MemoryTransport(self.topics, room)
        self.report = Report(self.transport.send, WHO, clock=self.clock)

    def watched(self, part):
        self.report.watch(part)
        return part

    def said(self, after_ns=SECOND):
        self.clock.advance(after_ns)
        self.report.flush()
        sent, self.topics.sent = self.topics.sent, []
        return [CLIENT_EVENTS.codec.decode(each.value, tuple(each.headers.items())) for each in sent]

    def counted(self):
        return {(said.family, said.name): said.counts for said in self.said()}


@pytest.fixture
def process():
    return Process()


def failing(*errors):
    """Fails with each in turn, then succeeds."""
    left = list(errors)

    def fn():
        if left:
            raise left.pop(0)

    return fn


def test_a_retry_tells_its_events_the_attempts_and_the_class_of_the_last_error(process):
    retry = process.watched(Retry("pay", RetryPolicy(max_attempts=3, wait_ms=0), process.clock))
    retry.call(failing(OSError("card 4711"), ConnectionError("card 4712")))
    retry.call(failing())
    assert process.said() == [
        ClientEvents(
            family="retry",
            name="pay",
            counts={"RETRY": 2, "SUCCESS": 1},
            attempts={"RETRY": 2, "SUCCESS": 2},
            errors={"RETRY": "ConnectionError", "SUCCESS": "ConnectionError"},
            from_at=BEGAN,
            to_at=BEGAN + 1_000,
            at=BEGAN + 1_000,
            caller="order-service",
            client="order-7",
        )
    ]


def test_a_retry_that_gives_up_and_one_that_ignores_say_so(process):
    retry = process.watched(
        Retry("pay", RetryPolicy(max_attempts=2, wait_ms=0, ignore_exceptions=(KeyError,)), process.clock)
    )
    for errors in ((OSError(), OSError()), (KeyError(),)):
        with pytest.raises((OSError, KeyError)):
            retry.call(failing(*errors))
    [said] = process.said()
    assert said.counts == {"RETRY": 1, "ERROR": 1, "IGNORED_ERROR": 1}
    assert said.attempts == {"RETRY": 1, "ERROR": 2}
    assert said.errors == {"RETRY": "OSError", "ERROR": "OSError", "IGNORED_ERROR": "KeyError"}


def test_limiters_and_bulkheads_tell_how_often(process):
    limiter = process.watched(
        RateLimiter("pay", RateLimiterPolicy(limit_for_period=1, timeout_duration_ns=0), process.clock)
    )
    bulkhead = process.watched(Bulkhead("pay", BulkheadPolicy(max_concurrent_calls=1)))
    pool = process.watched(ThreadPoolBulkhead("mail"))
    limit = process.watched(TimeLimiter("pay", clock=process.clock))
    limiter.call(failing())
    with pytest.raises(RequestNotPermitted):
        limiter.call(failing())
    limiter.drain()
    with bulkhead, pytest.raises(BulkheadFull):
        bulkhead.call(failing())
    pool.call(failing())
    pool.close()
    with pytest.raises(TimeLimitExceeded):
        limit._timed_out()
    assert process.counted() == {
        ("ratelimiter", "pay"): {"SUCCESSFUL_ACQUIRE": 1, "FAILED_ACQUIRE": 1, "DRAINED": 1},
        ("bulkhead", "pay"): {"CALL_PERMITTED": 1, "CALL_REJECTED": 1, "CALL_FINISHED": 1},
        ("thread-pool-bulkhead", "mail"): {"CALL_PERMITTED": 1, "CALL_FINISHED": 1},
        ("timelimiter", "pay"): {"TIMEOUT": 1},
    }


def test_it_is_told_once_and_at_most_once_in_a_second(process):
    limiter = process.watched(RateLimiter("pay"))
    assert process.said() == []
    limiter.acquire()
    assert process.said(999 * MS) == []
    limiter.acquire()
    [said] = process.said(MS)
    assert (said.counts, said.to_at - said.from_at) == ({"SUCCESSFUL_ACQUIRE": 2}, 1_000)
    assert process.said() == []


def test_what_came_before_it_was_watched_is_not_told(process):
    limiter = RateLimiter("pay")
    limiter.acquire()
    process.watched(limiter)
    assert process.said() == []


def test_a_part_that_is_watched_twice_is_told_once(process):
    limiter = process.watched(process.watched(RateLimiter("pay")))
    limiter.acquire()
    assert process.counted() == {("ratelimiter", "pay"): {"SUCCESSFUL_ACQUIRE": 1}}


def test_the_last_of_a_part_that_nobody_has_any_more_is_told(process):
    limiter = process.watched(RateLimiter("pay"))
    limiter.acquire()
    del limiter
    assert process.counted() == {("ratelimiter", "pay"): {"SUCCESSFUL_ACQUIRE": 1}}


def test_no_record_has_more_than_a_thousand_events(process):
    bulkhead = process.watched(Bulkhead("pay"))
    for _ in range(1_600):
        bulkhead.call(failing())
    assert [said.counts for said in process.said()] == [
        {"CALL_PERMITTED": 1_000},
        {"CALL_PERMITTED": 600, "CALL_FINISHED": 400},
        {"CALL_FINISHED": 1_000},
        {"CALL_FINISHED": 200},
    ]


def test_at_the_end_the_last_of_it_is_told_at_once(process):
    process.watched(RateLimiter("pay")).acquire()
    process.report.close()
    assert len(process.topics.sent) == 1


def test_a_record_is_a_cloud_event_under_the_name_as_key(process):
    process.watched(RateLimiter("pay")).acquire()
    process.report.close()
    [sent] = process.topics.sent
    assert (sent.topic, sent.key) == ("iopt.client-events", b"pay")
    assert sent.headers == {
        "ce_specversion": b"1.0",
        "ce_type": b"iopt.client.events",
        "ce_source": b"/order-service/order-7",
        "ce_id": b"order-7#1",
        "ce_subject": b"pay",
        "ce_time": rfc3339(BEGAN),
        "ce_dataschema": b"urn:iopt:iopt.client.events:1",
        "content-type": b"application/json",
    }


def test_what_finds_no_room_is_dropped_and_counted_and_no_call_fails():
    process = Process(room=0)
    limiter = process.watched(RateLimiter("pay"))
    for _ in range(7):
        limiter.acquire()
    assert process.said() == []
    assert (process.report.events_dropped, process.report.events_sent, process.report.dropped) == (7, 0, 0)


def test_in_a_fleet_all_parts_are_told_of_those_put_in_later_too(process):
    fleet = Fleet(process.transport.poll, process.report, clock=process.clock)
    settings = {"resilience4j": {family: {"instances": {"pay": {}}} for family in ("circuitbreaker", "ratelimiter")}}
    resilience = Resilience(settings, fleet=fleet, clock=process.clock)
    resilience.call("pay", failing())
    resilience.registry.put(Bulkhead("pay", clock=process.clock))
    resilience.registry.put(Hedge("pay", clock=process.clock))
    resilience.call("pay", failing())
    process.report.close()
    by_topic = {(sent.topic, sent.body.get("family")): sent.body["counts"] for sent in process.topics.sent}
    assert by_topic == {
        (CALL_OUTCOMES.name, None): {"success": 2},
        (CLIENT_EVENTS.name, "ratelimiter"): {"SUCCESSFUL_ACQUIRE": 2},
        (CLIENT_EVENTS.name, "bulkhead"): {"CALL_PERMITTED": 1, "CALL_FINISHED": 1},
    }


def test_only_parts_are_watched_whose_events_somebody_can_ask_for(process):
    with pytest.raises(ValueError, match="pay is a hedge: expected one of retry, ratelimiter"):
        process.report.watch(Hedge("pay"))
    process.report.watch(CircuitBreaker("pay"))


@pytest.mark.parametrize(
    "wrong",
    [{"counts": {}}, {"counts": {"RETRY": 600, "ERROR": 401}}, {"counts": {"RETRY": 1}, "from_at": 2, "to_at": 1}],
)
def test_a_record_that_denies_itself_is_none(wrong):
    with pytest.raises(ValueError, match="expected"):
        ClientEvents(family="retry", name="pay", **wrong)
