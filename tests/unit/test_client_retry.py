import pytest

from app.client.errors import MaxRetriesExceeded
from app.client.retry import Retry, RetryPolicy
from app.client.retry_budget import RetryBudget
from tests.support.failures import FAILURES, NAMES, BadRequest, NetworkError, TimedOut, covering
from tests.support.resilience4j import retry_interval, scenarios
from tests.support.virtual_clock import VirtualClock

COUNTERS = ("successful_without_retry", "successful_with_retry", "failed_without_retry", "failed_with_retry")


class Scripted:
    """Ends as it was told, the last way for ever: an exception is raised, all else comes back."""

    def __init__(self, *endings):
        self.endings = endings
        self.calls = 0

    def __call__(self):
        ending = self.endings[min(self.calls, len(self.endings) - 1)]
        self.calls += 1
        if isinstance(ending, Exception):
            raise ending
        return ending

    async def later(self):
        return self()


@pytest.fixture
def clock():
    return VirtualClock()


def called(retry, scripted, form):
    if form == "call":
        return retry.call(scripted)
    return retry.clock.run(retry.acall(scripted.later))


def policy_of(config):
    again = config.get("retryResults", [])
    return RetryPolicy(
        max_attempts=config.get("maxAttempts", 3),
        retry_exceptions=covering(config.get("retryExceptions", [])),
        ignore_exceptions=covering(config.get("ignoreExceptions", [])),
        retry_on_result=again.__contains__,
        fail_after_max_attempts=config.get("failAfterMaxAttempts", False),
    )


def ending(written):
    kind, name = written.split(":")
    return FAILURES[name]() if kind == "error" else name


def told(event):
    wait = [] if event.wait_ms is None else [event.wait_ms]
    return " ".join(map(str, [event.type, event.number, *wait]))


@pytest.mark.parametrize("form", ["call", "acall"])
@pytest.mark.parametrize("scenario", scenarios("retry"))
def test_it_does_what_resilience4j_does(scenario, form, clock):
    retry = Retry("r", policy_of(scenario["config"]), clock, interval=retry_interval(scenario["config"]))
    for endings, expected in zip(scenario["calls"], scenario["expect"]["calls"], strict=True):
        scripted, events = Scripted(*map(ending, endings)), []
        unsubscribe = retry.on_event(events.append)
        clock.slept.clear()
        try:
            ended = f"result:{called(retry, scripted, form)}"
        except MaxRetriesExceeded:
            ended = "error:MaxRetriesExceededException"
        except tuple(NAMES) as failure:
            ended = f"error:{NAMES[type(failure)]}"
        unsubscribe()
        assert (ended, scripted.calls, clock.slept) == (expected["ended"], expected["attempts"], expected["waits"])
        assert list(map(told, events)) == expected.get("events", list(map(told, events)))
    if "m" in scenario["expect"]:
        assert [retry.counts()[name] for name in (*COUNTERS, "attempts")] == scenario["expect"]["m"]


def test_pauses_grow_up_to_their_cap_and_are_spread(clock):
    policy = RetryPolicy(max_attempts=5, wait_ms=100, multiplier=2.0, max_wait_ms=300, randomized=0.5)
    clock.fraction = 0.0
    with pytest.raises(NetworkError):
        Retry("r", policy, clock).call(Scripted(NetworkError()))
    assert clock.slept == [50, 100, 200, 300]


def test_the_interval_may_depend_on_the_result_or_the_error(clock):
    def interval(attempt, ended):
        return -1 if ended.error else int(ended.result)

    retry = Retry("r", RetryPolicy(retry_on_result=lambda result: result != "ok", interval=interval), clock)
    assert retry.call(Scripted("7", "ok")) == "ok"
    assert clock.slept == [7]
    with pytest.raises(NetworkError):
        retry.call(Scripted(NetworkError()))
    assert [told(event) for event in retry.recent_events()] == ["RETRY 1 7", "SUCCESS 1", "ERROR 1"]


def test_no_attempt_begins_after_the_total_time(clock):
    scripted = Scripted(NetworkError())
    with pytest.raises(NetworkError):
        Retry("r", RetryPolicy(max_attempts=100, wait_ms=300, max_duration_ms=1_000), clock).call(scripted)
    assert scripted.calls == 4


@pytest.mark.parametrize("form", ["call", "acall"])
def test_a_budget_leaves_each_call_its_first_attempt_and_few_retries(form, clock):
    retry = Retry("r", RetryPolicy(max_attempts=2, wait_ms=1, budget_percent=20), clock)
    scripted = Scripted(NetworkError())
    for _ in range(20):
        with pytest.raises(NetworkError):
            called(retry, scripted, form)
    assert scripted.calls == 20 + 4


def test_a_budget_forgets_after_its_window(clock):
    budget = RetryBudget(percent=20, floor=3, window_ms=10_000, clock=clock)
    assert [budget.withdraw() for _ in range(4)] == [True, True, True, False]
    clock.advance(9_999_000_000)
    assert not budget.withdraw()
    clock.advance(1_000_000)
    assert budget.withdraw()


def test_a_budget_counts_calls_that_are_long_in_progress(clock):
    budget = RetryBudget(percent=50, floor=0, window_ms=10_000, clock=clock)
    for _ in range(4):
        budget.begin()
    clock.advance(60_000_000_000)
    assert [budget.withdraw() for _ in range(3)] == [True, True, False]
    for _ in range(4):
        budget.end()
    clock.advance(60_000_000_000)
    assert not budget.withdraw()


def test_it_decorates_functions_and_coroutine_functions_alike(clock):
    retry, scripted, awaited = Retry("r", clock=clock), Scripted(NetworkError(), "ok"), Scripted(NetworkError(), "ok")

    @retry
    def fetch(name):
        return name, scripted()

    @retry
    async def fetch_later(name):
        return name, awaited()

    assert fetch("a") == ("a", "ok")
    assert clock.run(fetch_later(name="b")) == ("b", "ok")
    assert (fetch.__name__, fetch_later.__name__) == ("fetch", "fetch_later")


def test_a_predicate_adds_to_the_types_and_ignored_ones_never_are(clock):
    policy = RetryPolicy(
        retry_exceptions=(TimedOut,), retry_on_exception=lambda e: "again" in str(e), ignore_exceptions=(BadRequest,)
    )
    errors = [TimedOut(), NetworkError("again"), NetworkError(), BadRequest("again")]
    assert [policy.retries(error) for error in errors] == [True, True, False, False]


def test_what_is_no_exception_passes_at_once(clock):
    def stop():
        raise KeyboardInterrupt

    retry = Retry("r", clock=clock)
    with pytest.raises(KeyboardInterrupt):
        retry.call(stop)
    assert clock.slept == []


def test_max_retries_exceeded_tells_the_last_result(clock):
    policy = RetryPolicy(retry_on_result=lambda result: result == "busy", fail_after_max_attempts=True)
    with pytest.raises(MaxRetriesExceeded, match=r"'r' has exhausted all attempts \(3\)") as raised:
        Retry("r", policy, clock).call(Scripted("busy"))
    assert (raised.value.name, raised.value.attempts, raised.value.result) == ("r", 3, "busy")
