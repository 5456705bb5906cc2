"""The settings of Resilience4j, by its own names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.config.keys import Key, idle, refused
from app.config.units import ANY, FLAG, TEXT, Kind, duration, number, whole, word

BREAKER: Mapping[str, tuple[Kind, str, str]] = {
    "failureRateThreshold": (number(0, 100), "50", "percent of failed calls that opens it"),
    "slowCallRateThreshold": (number(0, 100), "100", "percent of slow calls that opens it"),
    "slowCallDurationThreshold": (duration(1), "60s", "a call that takes longer is slow"),
    "slidingWindowType": (word("COUNT_BASED", unsupported=("TIME_BASED",)), "COUNT_BASED", "what the window counts"),
    "slidingWindowSize": (whole(1, 100_000), "100", "newest calls that the rates are made of"),
    "minimumNumberOfCalls": (whole(1, 100_000), "100", "calls before a rate says anything"),
    "waitDurationInOpenState": (duration(1), "60s", "how long it stays open before calls are tried"),
    "permittedNumberOfCallsInHalfOpenState": (whole(1, 100_000), "10", "calls that are tried while half open"),
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
}
RETRY: Mapping[str, tuple[Kind, str, str]] = {
    "maxAttempts": (whole(1, 1_000), "3", "attempts in all, the first included"),
    "waitDuration": (duration(1), "500ms", "pause before the second attempt"),
    "exponentialBackoffMultiplier": (number(0, 1_000), "1.5", "each pause is this much longer than the one before"),
    "enableExponentialBackoff": (FLAG, "false", "pauses grow; an exponentialBackoffMultiplier says so too"),
    "exponentialMaxWaitDuration": (duration(1), "", "longest pause"),
    "enableRandomizedWait": (FLAG, "false", "pauses are spread by randomizedWaitFactor"),
    "randomizedWaitFactor": (number(0, 1), "0.5", "a pause is at most this part longer or shorter"),
}

_PLAIN = word("false", unsupported=("true",))
_BY_OUTCOME = "what counts as a failure is said by the caller: success, failure, timeout or ignored"
_BY_REPLY = "what is retried is said by the participant's reply: `failed` is, `refused` is not"

_REFUSED = {
    "circuitbreaker": {
        "recordExceptions": _BY_OUTCOME,
        "ignoreExceptions": _BY_OUTCOME,
        "recordFailurePredicate": _BY_OUTCOME,
        "recordResultPredicate": _BY_OUTCOME,
        "ignoreExceptionPredicate": _BY_OUTCOME,
        "initialState": "a breaker begins CLOSED",
    },
    "retry": {
        "retryExceptions": _BY_REPLY,
        "ignoreExceptions": _BY_REPLY,
        "retryExceptionPredicate": _BY_REPLY,
        "resultPredicate": _BY_REPLY,
        "intervalBiFunction": "pauses are said by waitDuration and exponentialBackoffMultiplier",
    },
}
_IDLE: Mapping[str, Mapping[str, Kind]] = {
    "circuitbreaker": {
        "enableExponentialBackoff": _PLAIN,
        "enableRandomizedWait": _PLAIN,
        "exponentialBackoffMultiplier": ANY,
        "exponentialMaxWaitDurationInOpenState": ANY,
        "randomizedWaitFactor": ANY,
        "registerHealthIndicator": FLAG,
        "allowHealthIndicatorToFail": FLAG,
        "eventConsumerBufferSize": whole(0),
        "writableStackTraceEnabled": FLAG,
        "ignoreClassBindingExceptions": FLAG,
    },
    "retry": {
        "failAfterMaxAttempts": FLAG,
        "eventConsumerBufferSize": whole(0),
        "ignoreClassBindingExceptions": FLAG,
    },
    "bulkhead": {
        "maxConcurrentCalls": whole(1),
        "maxWaitDuration": duration(),
        "baseConfig": TEXT,
        "writableStackTraceEnabled": FLAG,
        "eventConsumerBufferSize": whole(0),
    },
    "thread-pool-bulkhead": {
        "maxThreadPoolSize": whole(1),
        "coreThreadPoolSize": whole(1),
        "queueCapacity": whole(1),
        "keepAliveDuration": duration(),
        "baseConfig": TEXT,
    },
    "timelimiter": {
        "timeoutDuration": duration(),
        "cancelRunningFuture": FLAG,
        "baseConfig": TEXT,
        "eventConsumerBufferSize": whole(0),
    },
    "ratelimiter": {
        "limitForPeriod": whole(1),
        "limitRefreshPeriod": duration(),
        "timeoutDuration": duration(),
        "baseConfig": TEXT,
        "registerHealthIndicator": FLAG,
        "eventConsumerBufferSize": whole(0),
        "writableStackTraceEnabled": FLAG,
    },
}


def _keys() -> Iterator[Key]:
    for group in ("instances", "configs"):
        for family, known in (("circuitbreaker", BREAKER), ("retry", RETRY)):
            for field, described in known.items():
                yield Key(f"resilience4j.{family}.{group}.*.{field}", *described)
            yield Key(f"resilience4j.{family}.{group}.*.baseConfig", TEXT, None, "the entry of configs to begin with")
        for family, reasons in _REFUSED.items():
            yield from (refused(f"resilience4j.{family}.{group}.*.{field}", why) for field, why in reasons.items())
        for family, kinds in _IDLE.items():
            yield from (idle(f"resilience4j.{family}.{group}.*.{field}", kind) for field, kind in kinds.items())
    yield from (idle(f"resilience4j.{family}.metrics.**") for family in _IDLE)


RESILIENCE = tuple(_keys())
