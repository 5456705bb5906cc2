"""How long to wait before attempt 1, 2, 3 ...: IntervalFunction of Resilience4j 2.4, as data."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

LONGEST_MS = 2**63 - 1  # where Java's `long` stops growing
MIDDLE = 0.5


class Interval(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Waits in ms; grown by a step or by a multiplier, capped by `max_ms` (0: not at all), spread by `factor`.

    Made by `fixed`, `linear`, `exponential` and `randomized`, which raise ValueError for what is no wait.
    """

    initial_ms: int
    step_ms: int = 0
    multiplier: float = 1.0
    max_ms: int = 0
    factor: float = 0.0

    def wait_ms(self, attempt: int, fraction: float = MIDDLE) -> int:
        """Attempts count from 1; ValueError below.

        `fraction`, at least 0 and below 1, is the caller's draw: it says where in
        [wait - factor * wait, wait + factor * wait + 1) a randomized wait falls, 0.5 being the wait itself.
        """
        if attempt < 1:
            raise ValueError(f"attempt {attempt}: expected at least 1")
        wait_ms = self.initial_ms + (attempt - 1) * self.step_ms if self.multiplier == 1 else self._grown_ms(attempt)
        if self.factor:
            wait_ms = _spread_ms(wait_ms, self.factor, fraction)
        return min(wait_ms, self.max_ms or LONGEST_MS)

    def _grown_ms(self, attempt: int) -> int:
        """Cut to whole ms each time: 1 ms times 1.5 stays 1 ms for ever."""
        wait_ms, longest_ms = self.initial_ms, self._longest_ms()
        for _ in range(attempt - 1):
            grown = wait_ms * self.multiplier
            grown_ms = longest_ms if grown >= longest_ms else int(grown)
            if grown_ms == wait_ms:
                break
            wait_ms = grown_ms
        return wait_ms

    def _longest_ms(self) -> int:
        """What is spread, or shrinks, does so from beyond the cap: it is capped in the end."""
        return LONGEST_MS if self.factor or self.multiplier < 1 else self.max_ms or LONGEST_MS


def fixed(wait_ms: int) -> Interval:
    return Interval(_at_least_1(wait_ms, "wait"))


def linear(initial_ms: int, step_ms: int) -> Interval:
    if step_ms < 0:
        raise ValueError(f"step {step_ms} ms: expected at least 0")
    return Interval(_at_least_1(initial_ms, "wait"), step_ms=step_ms)


def exponential(initial_ms: int, multiplier: float = 1.5, max_ms: int | None = None) -> Interval:
    """Each wait is the one before times `multiplier`."""
    if not multiplier > 0:
        raise ValueError(f"multiplier {multiplier}: expected more than 0")
    longest_ms = 0 if max_ms is None else _at_least_1(max_ms, "longest wait")
    return Interval(_at_least_1(initial_ms, "wait"), multiplier=multiplier, max_ms=longest_ms)


def randomized(interval: Interval, factor: float = 0.5) -> Interval:
    """The same waits, each at most that part (0 to 1) longer or shorter."""
    if not 0 <= factor <= 1:
        raise ValueError(f"factor {factor}: expected 0 to 1")
    return msgspec.structs.replace(interval, factor=factor)


def drawn(seed: str) -> float:
    """At least 0 and below 1, the same for the same seed: what is replayed waits as long as it did before."""
    return int.from_bytes(blake2b(seed.encode(), digest_size=6).digest(), "big") / 2**48


def _spread_ms(wait_ms: int, factor: float, fraction: float) -> int:
    delta = factor * wait_ms
    shortest, longest = wait_ms - delta, wait_ms + delta
    return int(max(1.0, shortest + fraction * (longest - shortest + 1)))


def _at_least_1(ms: int, what: str) -> int:
    if ms < 1:
        raise ValueError(f"{what} {ms} ms: expected at least 1")
    return ms
