"""What is raised instead of, or after, a call.

* NotPermitted        the call was not made: CallNotPermitted, BulkheadFull, RequestNotPermitted
* TimeLimitExceeded   it was made, and took too long; also a TimeoutError
* MaxRetriesExceeded  it was made as often as allowed, and its result is still to be retried
"""

from __future__ import annotations

from typing import Any, ClassVar


class ResilienceError(Exception):
    """`name` is that of the part which raised it; `retry_after_ms` is None where nobody can know."""

    says: ClassVar[str] = "'{name}' gave up"

    def __init__(self, name: str, retry_after_ms: int | None = None) -> None:
        super().__init__(name, retry_after_ms)
        self.name = name
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        later = "" if self.retry_after_ms is None else f"; try again in {self.retry_after_ms} ms"
        return self.says.format(**vars(self)) + later


class NotPermitted(ResilienceError):
    """The call was not made."""


class CallNotPermitted(NotPermitted):
    """`state`, that the breaker has: OPEN, FORCED_OPEN, HALF_OPEN."""

    says = "CircuitBreaker '{name}' is {state} and does not permit further calls"

    def __init__(self, name: str, retry_after_ms: int | None = None, state: str = "OPEN") -> None:
        super().__init__(name, retry_after_ms)
        self.args = (name, retry_after_ms, state)
        self.state = state


class BulkheadFull(NotPermitted):
    says = "Bulkhead '{name}' is full and does not permit further calls"


class RequestNotPermitted(NotPermitted):
    says = "RateLimiter '{name}' does not permit further calls"


class TimeLimitExceeded(ResilienceError, TimeoutError):
    says = "TimeLimiter '{name}' recorded a timeout"


class MaxRetriesExceeded(ResilienceError):
    """`result` is that of the last attempt."""

    says = "Retry '{name}' has exhausted all attempts ({attempts})"

    def __init__(self, name: str, attempts: int, result: Any) -> None:
        super().__init__(name)
        self.args = (name, attempts, result)
        self.attempts = attempts
        self.result = result
