"""Which errors and results of calls count, and how: CircuitBreakerConfig of Resilience4j 2.4, with code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import field

from ..domain.breakers import breaker_policy
from ..domain.breakers.breaker_policy import Policy, Verdict
from .retry import Ended

Predicate = Callable[[Any], bool]
Listed = type[BaseException] | str


class OpenFor(NamedTuple):
    ms: int


class OpenUntil(NamedTuple):
    """`at`: ms since the epoch."""

    at: int


class CircuitBreakerPolicy(Policy, frozen=True, kw_only=True, gc=True):
    """Resilience4j's settings, and those that are code.

    An exception is listed as its class, or by the name of it or of one of its bases, with or without its module. What
    a predicate says counts beside the lists. `transitionOnResult` gets how a call ended; a CLOSED breaker then opens.
    """

    record_exceptions: tuple[Listed, ...] = ()  # type: ignore[assignment]  # of names, as settings have them, and more
    ignore_exceptions: tuple[Listed, ...] = ()  # type: ignore[assignment]
    record_results: tuple[Any, ...] = ()
    record_failure: Predicate | None = field(default=None, name="recordFailurePredicate")
    ignore_exception: Predicate | None = field(default=None, name="ignoreExceptionPredicate")
    record_result: Predicate | None = field(default=None, name="recordResultPredicate")
    transition_on_result: Callable[[Ended], OpenFor | OpenUntil | None] | None = field(
        default=None, name="transitionOnResult"
    )


class Judge:
    """Of the calls of one breaker."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        code = policy if isinstance(policy, CircuitBreakerPolicy) else CircuitBreakerPolicy()
        self._record, self._ignore = code.record_failure, code.ignore_exception
        self._displeases, self._opens = code.record_result, code.transition_on_result
        self._by_type: dict[type[Exception], Verdict] = {}

    @property
    def asks_results(self) -> bool:
        """Whether a result can be anything but a success."""
        return bool(self._displeases or self._opens or self._policy.record_results)

    def error(self, error: Exception) -> Verdict:
        if self._record or self._ignore:
            return self._told(error)
        kind = type(error)
        verdict = self._by_type.get(kind)
        if verdict is None:
            verdict = self._by_type[kind] = self._listed(error)
        return verdict

    def result(self, result: Any) -> Verdict:
        recorded = self._displeases is not None and self._displeases(result)
        return Verdict(recorded or result in self._policy.record_results)

    def opens_until(self, verdict: Verdict, ended: Ended, now_ms: int) -> int | None:
        """What transitionOnResult says; it is not asked about what was ignored, nor about recorded results."""
        if self._opens is None or verdict is Verdict.IGNORED or (verdict and ended.error is None):
            return None
        match self._opens(ended):
            case OpenFor(ms):
                return now_ms + ms
            case OpenUntil(at):
                return at
            case _:
                return None

    def _told(self, error: Exception) -> Verdict:
        verdict = self._listed(error)
        if verdict is Verdict.IGNORED or (self._ignore and self._ignore(error)):
            return Verdict.IGNORED
        if self._record is None:
            return verdict
        return Verdict((verdict is Verdict.ERROR and bool(self._policy.record_exceptions)) or self._record(error))

    def _listed(self, error: Exception) -> Verdict:
        return breaker_policy.judge(error, self._policy, is_a)


def is_a(error: Exception, listed: Listed) -> bool:
    """Listed as a class, or by the name of a class that it is."""
    if not isinstance(listed, str):
        return isinstance(error, listed)
    return any(listed in (kind.__name__, f"{kind.__module__}.{kind.__qualname__}") for kind in type(error).__mro__)
