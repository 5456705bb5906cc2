"""How often and after which pauses an attempt is made again: RetryConfig and RetryImpl of Resilience4j 2.4."""

from __future__ import annotations

from msgspec import Struct, field

from .interval import MIDDLE, Interval, drawn

DAY_MS = 86_400_000
LONGEST_PAUSE_MS = DAY_MS


class RetryPolicy(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """`max_attempts` counts the first one too. The defaults are Resilience4j's."""

    max_attempts: int = field(default=3, name="maxAttempts")
    wait_ms: int = field(default=500, name="waitDuration")
    multiplier: float = field(default=1.0, name="exponentialBackoffMultiplier")
    max_wait_ms: int | None = field(default=None, name="exponentialMaxWaitDuration")
    randomized: float = field(default=0.0, name="randomizedWaitFactor")

    def pause_ms(self, attempt: int, seed: str) -> int | None:
        """The pause after attempt number `attempt` (from 1); None if it was the last.

        The jitter is drawn from `seed` and not from dice: a replayed record waits as long as it did before.
        """
        return None if attempt >= self.max_attempts else self.interval_ms(attempt, drawn(seed))

    def interval_ms(self, attempt: int, fraction: float = MIDDLE) -> int:
        """The pause after attempt number `attempt`, the last one too; `fraction` (0 to 1) is the caller's draw."""
        longest_ms = min(self.max_wait_ms or LONGEST_PAUSE_MS, LONGEST_PAUSE_MS)
        waits = Interval(self.wait_ms, multiplier=self.multiplier, max_ms=longest_ms, factor=self.randomized)
        return waits.wait_ms(attempt, fraction)


UNDO_RETRY = RetryPolicy(max_attempts=10, wait_ms=1_000, multiplier=2.0, max_wait_ms=300_000)

STOP = -1  # an interval below 0: no further attempt


class Verdict(Struct, frozen=True, gc=False):
    """What follows from how an attempt ended: the event to publish, which carries `number`, and the counter to raise.

    Without `counts` the call goes on. `attempts` is what the attempt adds to their total: one given up on with a
    result is counted twice there, as in RetryImpl.
    """

    event: str | None
    number: int = 0
    counts: str | None = None
    attempts: int = 1


SUCCEEDED = Verdict(None, counts="successful_without_retry")
IGNORED = Verdict("IGNORED_ERROR", counts="failed_without_retry")


def after_success(attempt: int) -> Verdict:
    return SUCCEEDED if attempt == 1 else Verdict("SUCCESS", attempt - 1, "successful_with_retry")


def after_wait(attempt: int, wait_ms: int) -> Verdict:
    """`wait_ms` is the interval after an attempt that may be made again; STOP gives up."""
    return Verdict("RETRY", attempt) if wait_ms >= 0 else given_up(attempt)


def given_up(attempt: int, on_result: bool = False) -> Verdict:
    return Verdict("ERROR", attempt, "failed_with_retry", 1 + on_result)
