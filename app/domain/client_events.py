"""What clients' retries, limiters and bulkheads did: the message of `iopt.client-events` (contract 4.3).

Words are those of Resilience4j 2.4: RetryEvent.Type, RateLimiterEvent.Type, BulkheadEvent.Type, TimeLimiterEvent.Type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from .bounds import LONGEST_ERROR, Name, Natural, Word

MOST = 1_000  # events of one record

_HELD = ("CALL_PERMITTED", "CALL_REJECTED", "CALL_FINISHED")
TYPES: Mapping[str, tuple[str, ...]] = {  # by family, as the settings name it; in the order in which they are told
    "retry": ("RETRY", "SUCCESS", "ERROR", "IGNORED_ERROR"),
    "ratelimiter": ("SUCCESSFUL_ACQUIRE", "FAILED_ACQUIRE", "DRAINED"),
    "timelimiter": ("SUCCESS", "ERROR", "TIMEOUT"),
    "bulkhead": _HELD,
    "thread-pool-bulkhead": _HELD,
}


class ClientEvents(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What one retry, limiter or bulkhead of one process did from `from_at` to `to_at`: `counts` by type of event.

    `attempts` and `errors` are those of the newest event of a type, where it had any: an error is told by its class,
    never by its message. `caller` is the service that calls, `client` the process. Instants are evidence, never time.
    """

    family: Annotated[str, msgspec.Meta(min_length=1)]
    name: Name
    counts: dict[str, Natural]
    attempts: dict[str, Natural] | None = None
    errors: dict[str, Annotated[str, msgspec.Meta(max_length=LONGEST_ERROR)]] | None = None
    from_at: int | None = None
    to_at: int | None = None
    at: int | None = None
    caller: Word | None = None
    client: Word | None = None

    def __post_init__(self) -> None:
        events = sum(self.counts.values())
        if not 1 <= events <= MOST:
            raise ValueError(f"counts of {events} events: expected 1 to {MOST}")
        if self.from_at is not None and self.to_at is not None and self.to_at < self.from_at:
            raise ValueError("expected `to_at` not before `from_at`")


def parted(counts: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """The same counts, in as few records as hold them."""
    part, room = dict[str, int](), MOST
    for type_, count in counts.items():
        left = count
        while left:
            part[type_] = some = min(left, room)
            left, room = left - some, room - some
            if not room:
                yield part
                part, room = {}, MOST
    if part:
        yield part
