"""What the threads of a fleet do in a child after `os.fork()`: they begin with what there is to tell."""

import threading

import pytest

from app.client.bulkhead import Bulkhead
from app.client.fleet import Fleet
from app.client.rate_limiter import RateLimiter
from app.client.report import Report
from app.client.retry import Retry, RetryPolicy
from app.client.scope import Who
from app.client.thread_pool_bulkhead import ThreadPoolBulkhead
from app.client.time_limiter import TimeLimiter
from tests.support.child import in_child
from tests.support.members import PAY
from tests.support.memory_transport import MemoryTransport, Topics
from tests.support.small_breaker import SMALL

WHO = Who("order-service", "order-1")


def seven():
    return 7


class Followed:
    """A fleet whose threads run, and say so."""

    def __init__(self):
        self.topics = Topics()
        self.transport = MemoryTransport(self.topics)
        self.fleet = Fleet(self._poll, Report(self._send, WHO))
        self.pay = self.fleet.breaker(PAY, SMALL)
        self.forget()

    def forget(self):
        self.polled, self.sent, self._never = threading.Event(), threading.Event(), threading.Event()

    def told(self):
        return [sent.body for sent in self.topics.sent]

    def _poll(self, within_ms):
        if self.polled.is_set():
            self._never.wait(within_ms / 1000)
        self.polled.set()
        return self.transport.poll(within_ms)

    def _send(self, *record):
        self.transport.send(*record)
        self.sent.set()


@pytest.fixture
def followed():
    made = Followed()
    yield made
    made.fleet.close()


def test_reporter_and_follower_begin_anew_with_the_first_call_of_the_child(followed):
    followed.fleet.start()
    assert followed.fleet.ready.wait(20)

    def child():
        followed.forget()
        followed.pay.metrics()
        before = threading.active_count()
        followed.pay.call(seven)
        return before, followed.sent.wait(10), followed.polled.wait(10)

    assert in_child(child) == [1, True, True]


def failing_once():
    raised = iter([OSError()])

    def fn():
        for error in raised:
            raise error

    return fn


@pytest.mark.parametrize(
    ("part", "fn"),
    [
        (Retry("pay", RetryPolicy(wait_ms=0)), failing_once()),
        (RateLimiter("pay"), seven),
        (TimeLimiter("pay"), seven),
        (Bulkhead("pay"), seven),
        (ThreadPoolBulkhead("pay"), seven),
    ],
    ids=["retry", "limiter", "limit", "bulkhead", "pool"],
)
def test_or_with_the_first_event_of_another_part(followed, part, fn):
    followed.fleet.report.watch(part)
    followed.fleet.start()
    assert followed.fleet.ready.wait(20)

    def child():
        followed.forget()
        before = threading.active_count()
        part.call(fn)
        return before, followed.polled.wait(10), followed.fleet.report.asleep

    assert in_child(lambda: in_child(child)) == [1, True, False]


def test_or_when_it_waits_for_the_states_of_the_fleet(followed):
    followed.transport.cut = True
    followed.fleet.start()
    assert followed.polled.wait(20)

    def child():
        followed.forget()
        followed.transport.cut = False
        return followed.fleet.ready.wait(10)

    assert (in_child(child), followed.fleet.ready.is_set()) == (True, False)


def test_events_are_told_by_who_made_them(followed):
    limiter = RateLimiter("pay")
    followed.fleet.report.watch(limiter)
    followed.fleet.start()
    limiter.acquire()

    def child():
        followed.forget()
        limiter.acquire()
        followed.sent.wait(10)
        return [said["counts"] for said in followed.told() if said["client"] != WHO.client]

    assert in_child(child) == [{"SUCCESSFUL_ACQUIRE": 1}]
    assert followed.sent.wait(10)
    assert [(said["counts"], said["client"]) for said in followed.told()] == [({"SUCCESSFUL_ACQUIRE": 1}, WHO.client)]


def test_the_child_of_a_closed_fleet_starts_nothing(followed):
    followed.fleet.start()
    followed.fleet.close()
    assert in_child(lambda: [followed.pay.call(seven), threading.active_count()]) == [7, 1]
