"""The settings of Resilience4j that a worker uses, by its own names: its Common*ConfigurationProperties 2.4.

Those for the callers' side stand in `callers.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.config.callers import CALLERS, ELSEWHERE, FORMERLY
from app.config.keys import Key, idle, refused
from app.config.units import FLAG, TEXT, Kind, duration, number, whole, word

BREAKER = "resilience4j.circuitbreaker"
RETRY = "resilience4j.retry"
BULKHEAD = "resilience4j.bulkhead"
FAMILIES = (
    BREAKER,
    RETRY,
    BULKHEAD,
    "resilience4j.thread-pool-bulkhead",
    "resilience4j.ratelimiter",
    "resilience4j.timelimiter",
)

LONGEST_S = 3_600  # of a TIME_BASED window: it is stored, with some bytes for each second
PERCENT = number(1, 100)
CALLS = whole(1, 100_000)
MULTIPLIER = number(0, 1_000, above=True)
FACTOR = number(0, 1, below=True)
STATE = word("CLOSED", "OPEN", "HALF_OPEN", "DISABLED", "METRICS_ONLY", "FORCED_OPEN")
BACKOFF = "grows; an exponentialBackoffMultiplier says so too"

USED: Mapping[str, Mapping[str, tuple[Kind, str, str]]] = {
    BREAKER: {
        "failureRateThreshold": (PERCENT, "50", "percent of failed calls that opens it"),
        "slowCallRateThreshold": (PERCENT, "100", "percent of slow calls that opens it"),
        "slowCallDurationThreshold": (duration(1), "60s", "a call that takes longer is slow"),
        "slidingWindowType": (word("COUNT_BASED", "TIME_BASED"), "COUNT_BASED", "what slidingWindowSize counts"),
        "slidingWindowSize": (CALLS, "100", f"newest calls, or seconds (TIME_BASED, at most {LONGEST_S:,})"),
        "minimumNumberOfCalls": (CALLS, "100", "calls before a rate says anything; at most the window's size counts"),
        "waitDurationInOpenState": (duration(1), "60s", "how long it stays open before calls are tried"),
        "enableExponentialBackoff": (FLAG, "false", f"each time that it opens in a row the wait {BACKOFF}"),
        "exponentialBackoffMultiplier": (MULTIPLIER, "1.5", "each wait is this much longer than the one before"),
        "exponentialMaxWaitDurationInOpenState": (duration(1), "", "longest wait"),
        "enableRandomizedWait": (FLAG, "false", "the wait is spread by randomizedWaitFactor"),
        "randomizedWaitFactor": (FACTOR, "0.5", "a wait is at most this part longer or shorter"),
        "permittedNumberOfCallsInHalfOpenState": (CALLS, "10", "calls that are tried while half open"),
        "maxWaitDurationInHalfOpenState": (
            duration(),
            "0",
            "longest time half open before it opens again; 0 waits for the calls",
        ),
        "transitionToStateAfterWaitDuration": (
            word("OPEN", "CLOSED"),
            "OPEN",
            "what follows maxWaitDurationInHalfOpenState",
        ),
        "automaticTransitionFromOpenToHalfOpenEnabled": (FLAG, "false", "half open by time alone, without a call"),
        "initialState": (STATE, "CLOSED", "in which a breaker begins"),
    },
    RETRY: {
        "maxAttempts": (whole(1, 1_000), "3", "attempts in all, the first included"),
        "waitDuration": (duration(), "500ms", "pause before the second attempt"),
        "exponentialBackoffMultiplier": (MULTIPLIER, "1.5", "each pause is this much longer than the one before"),
        "enableExponentialBackoff": (FLAG, "false", f"the pause {BACKOFF}"),
        "exponentialMaxWaitDuration": (duration(1), "", "longest pause"),
        "enableRandomizedWait": (FLAG, "false", "pauses are spread by randomizedWaitFactor"),
        "randomizedWaitFactor": (FACTOR, "0.5", "a pause is at most this part longer or shorter"),
    },
}


def _keys() -> Iterator[Key]:
    for group in ("instances", "configs"):
        for family in FAMILIES:
            for field, described in USED.get(family, {}).items():
                yield Key(f"{family}.{group}.*.{field}", *described)
            for field, (kind, default, why) in CALLERS[family].items():
                yield idle(f"{family}.{group}.*.{field}", kind, why, default)
            for old, new in FORMERLY.get(family, {}).items():
                yield refused(f"{family}.{group}.*.{old}", f"Resilience4j 2 calls it {new}")
            yield Key(f"{family}.{group}.*.baseConfig", TEXT, None, "the entry of configs to begin with")
    yield from (idle(name, why=why) for name, why in ELSEWHERE.items())


RESILIENCE = tuple(_keys())
FIELDS = {family: (*USED.get(family, ()), *CALLERS[family]) for family in FAMILIES}
