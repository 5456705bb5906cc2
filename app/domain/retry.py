"""How often and after which pauses an attempt is made again; the words are Resilience4j's (`retry`)."""

from __future__ import annotations

from hashlib import blake2b

from msgspec import Struct, field

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
        if attempt >= self.max_attempts:
            return None
        ceiling_ms = LONGEST_PAUSE_MS if self.max_wait_ms is None else min(self.max_wait_ms, LONGEST_PAUSE_MS)
        pause_ms = min(self._grown_ms(attempt), ceiling_ms)
        if self.randomized:
            pause_ms *= 1 + self.randomized * (2 * _fraction(seed) - 1)
        return min(round(pause_ms), ceiling_ms)

    def _grown_ms(self, attempt: int) -> float:
        try:
            return self.wait_ms * float(self.multiplier) ** (attempt - 1)
        except OverflowError:
            return LONGEST_PAUSE_MS


UNDO_RETRY = RetryPolicy(max_attempts=10, wait_ms=1_000, multiplier=2.0, max_wait_ms=300_000)


def _fraction(seed: str) -> float:
    """At least 0 and below 1."""
    return int.from_bytes(blake2b(seed.encode(), digest_size=6).digest(), "big") / 2**48
