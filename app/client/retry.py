"""A call is made again after a while: RetryImpl of Resilience4j 2.4, with two limits to it all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, field

from ..domain import retry
from ..domain.interval import Interval
from ..domain.retry import IGNORED, STOP, Verdict, after_success, after_wait, given_up
from ..domain.setting import AtLeast0, AtLeast1, check_bounds
from .clock import CLOCK, Clock
from .errors import MaxRetriesExceeded
from .part import AsyncWay, Part, Way
from .retry_budget import RetryBudget

MS = 1_000_000
Predicate = Callable[[Any], bool]


class Ended(NamedTuple):
    """How an attempt ended: with an error, or else with a result."""

    result: Any = None
    error: Exception | None = None


IntervalFunction = Callable[[int, Ended], int]


class Newest(NamedTuple):
    """Of the events of a type: how many attempts were made, and the class of the last error, "" if there was none."""

    attempts: int
    error: str


class RetryPolicy(retry.RetryPolicy, frozen=True, kw_only=True, gc=True):
    """Under Resilience4j's names, with its defaults; those without a counterpart there:

    `maxDuration`: no attempt begins later than that after the first, None: no limit. `budgetPercent` and
    `budgetFloor`: see RetryBudget; no percentage, no budget.
    `intervalBiFunction` gets the number of the attempt (from 1) and how it ended; it says the wait in ms, below 0 for
    no further attempt. `retryExceptions`: none named means every Exception; `ignoreExceptions` wins over it.
    """

    max_attempts: AtLeast1 = field(default=3, name="maxAttempts")
    wait_ms: AtLeast0 = field(default=500, name="waitDuration")
    multiplier: Annotated[float, Meta(gt=0)] = field(default=1.0, name="exponentialBackoffMultiplier")
    max_wait_ms: AtLeast1 | None = field(default=None, name="exponentialMaxWaitDuration")
    randomized: Annotated[float, Meta(ge=0, le=1)] = field(default=0.0, name="randomizedWaitFactor")
    fail_after_max_attempts: bool = field(default=False, name="failAfterMaxAttempts")
    retry_exceptions: tuple[type[BaseException], ...] = field(default=(), name="retryExceptions")
    ignore_exceptions: tuple[type[BaseException], ...] = field(default=(), name="ignoreExceptions")
    retry_on_exception: Predicate | None = field(default=None, name="retryExceptionPredicate")
    retry_on_result: Predicate | None = field(default=None, name="resultPredicate")
    interval: IntervalFunction | None = field(default=None, name="intervalBiFunction")
    max_duration_ms: AtLeast1 | None = field(default=None, name="maxDuration")
    budget_percent: Annotated[float, Meta(gt=0, le=100)] | None = field(default=None, name="budgetPercent")
    budget_floor: AtLeast0 = field(default=3, name="budgetFloor")

    def __post_init__(self) -> None:
        check_bounds(self)

    def retries(self, error: Exception) -> bool:
        """As RetryConfig's exceptionPredicate: of what is not ignored, what is named or what the predicate says."""
        if isinstance(error, self.ignore_exceptions):
            return False
        if self.retry_on_exception is None:
            return isinstance(error, self.retry_exceptions or Exception)
        return isinstance(error, self.retry_exceptions) or self.retry_on_exception(error)


class Retry(Part):
    """What is raised in the end is the last attempt's own error; MaxRetriesExceeded where a result still displeases
    and `failAfterMaxAttempts` is set, else that result comes back.

    `interval`: the waits, in place of those that the policy describes. `budget`: one to share.
    """

    kind = "retry"
    counted = (
        *("RETRY", "SUCCESS", "ERROR", "IGNORED_ERROR", "attempts"),
        *("successful_without_retry", "successful_with_retry", "failed_without_retry", "failed_with_retry"),
    )

    def __init__(
        self,
        name: str,
        policy: RetryPolicy | None = None,
        clock: Clock = CLOCK,
        *,
        interval: Interval | None = None,
        budget: RetryBudget | None = None,
    ) -> None:
        self.policy = policy or RetryPolicy()
        self.interval = interval
        if budget is None and self.policy.budget_percent is not None:
            budget = RetryBudget(self.policy.budget_percent, self.policy.budget_floor, clock=clock)
        self.budget = budget
        self.newest: dict[str, Newest] = {}
        super().__init__(name, clock)

    def around(self, inner: Way) -> Way:
        displeases, now_ns, sleep = self.policy.retry_on_result, self.clock.now_ns, self.clock.sleep

        def retried(fn: Any, args: Any, kwargs: Any) -> Any:
            began_ns, course = now_ns(), None
            while True:
                try:
                    result = inner(fn, args, kwargs)
                except Exception as error:
                    course = course or Course(self, began_ns)
                    if (wait_ms := course.failed(error)) < 0:
                        raise
                else:
                    if displeases is None or not displeases(result):
                        self._succeeded(course)
                        return result
                    course = course or Course(self, began_ns)
                    if (wait_ms := course.displeased(result)) < 0:
                        return result
                sleep(wait_ms * MS)

        return self._budgeted(retried) if self.budget else retried

    def around_async(self, inner: AsyncWay) -> AsyncWay:
        displeases, now_ns, asleep = self.policy.retry_on_result, self.clock.now_ns, self.clock.asleep

        async def retried(fn: Any, args: Any, kwargs: Any) -> Any:
            began_ns, course = now_ns(), None
            while True:
                try:
                    result = await inner(fn, args, kwargs)
                except Exception as error:
                    course = course or Course(self, began_ns)
                    if (wait_ms := course.failed(error)) < 0:
                        raise
                else:
                    if displeases is None or not displeases(result):
                        self._succeeded(course)
                        return result
                    course = course or Course(self, began_ns)
                    if (wait_ms := course.displeased(result)) < 0:
                        return result
                await asleep(wait_ms * MS)

        return self._budgeted_async(retried) if self.budget else retried

    def note(self, verdict: Verdict, wait_ms: int | None = None, error: Exception | None = None) -> None:
        self.events.count(verdict.counts, verdict.attempts)
        if verdict.event:
            self.newest[verdict.event] = Newest(verdict.number, type(error).__name__ if error else "")
            self.events.publish(verdict.event, verdict.number, wait_ms, error)

    def _succeeded(self, course: Course | None) -> None:
        if course is None:
            self.events.count("successful_without_retry", 1)
        else:
            self.note(after_success(course.attempt + 1), error=course.error)

    def _budgeted(self, inner: Way) -> Way:
        budget = self.budget
        assert budget

        def counted(fn: Any, args: Any, kwargs: Any) -> Any:
            budget.begin()
            try:
                return inner(fn, args, kwargs)
            finally:
                budget.end()

        return counted

    def _budgeted_async(self, inner: AsyncWay) -> AsyncWay:
        budget = self.budget
        assert budget

        async def counted(fn: Any, args: Any, kwargs: Any) -> Any:
            budget.begin()
            try:
                return await inner(fn, args, kwargs)
            finally:
                budget.end()

        return counted


class Course:
    """The attempts of one call that did not go well at first."""

    __slots__ = ("attempt", "began_ns", "error", "retry")

    def __init__(self, retry: Retry, began_ns: int) -> None:
        self.retry = retry
        self.began_ns = began_ns
        self.attempt = 0
        self.error: Exception | None = None

    def failed(self, error: Exception) -> int:
        """The wait in ms before the next attempt; STOP: there is none."""
        self.attempt += 1
        self.error = error
        if not self.retry.policy.retries(error):
            self.retry.note(IGNORED, error=error)
            return STOP
        return self._next(Ended(error=error))

    def displeased(self, result: Any) -> int:
        self.attempt += 1
        wait_ms = self._next(Ended(result))
        if wait_ms == STOP and self.retry.policy.fail_after_max_attempts:
            raise MaxRetriesExceeded(self.retry.name, self.attempt, result)
        return wait_ms

    def _next(self, ended: Ended) -> int:
        wait_ms = self._wait_ms(ended)
        if wait_ms < 0:
            self.retry.note(given_up(self.attempt, on_result=ended.error is None), error=ended.error)
            return STOP
        self.retry.note(after_wait(self.attempt, wait_ms), wait_ms, ended.error)
        return wait_ms

    def _wait_ms(self, ended: Ended) -> int:
        retry, policy = self.retry, self.retry.policy
        if self.attempt >= policy.max_attempts:
            return STOP
        wait_ms = self._interval_ms(ended)
        if wait_ms < 0 or self._too_late(wait_ms) or (retry.budget and not retry.budget.withdraw()):
            return STOP
        return wait_ms

    def _interval_ms(self, ended: Ended) -> int:
        retry, policy = self.retry, self.retry.policy
        if policy.interval:
            return policy.interval(self.attempt, ended)
        if retry.interval:
            return retry.interval.wait_ms(self.attempt, retry.clock.random())
        return policy.interval_ms(self.attempt, retry.clock.random())

    def _too_late(self, wait_ms: int) -> bool:
        longest_ms = self.retry.policy.max_duration_ms
        if longest_ms is None:
            return False
        return self.retry.clock.now_ns() + wait_ms * MS - self.began_ns > longest_ms * MS
