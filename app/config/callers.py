"""What Resilience4j's properties say to those who call: checked, and without effect in a worker.

One application.yml may serve both. Defaults are Resilience4j's (2.4); the empty one is "none".
"""

from __future__ import annotations

from collections.abc import Mapping

from app.config.units import ANY, CLASS, FLAG, Kind, duration, fine_duration, many, number, whole

Field = tuple[Kind, str, str]  # what it may be, its default, why it changes nothing

BY_OUTCOME = "what counts as a failure is said by the caller: success, failure, timeout or ignored"
BY_REPLY = "what is retried is said by the participant's reply: `failed` is, `refused` is not"
BY_WAIT = "pauses are said by waitDuration and exponentialBackoffMultiplier"
AT_CALLERS = "it is for the side that calls"
OF_CLIENT = "it is iopt_client's own, for the side that calls"
OF_SPRING = "it is for Spring's own beans"

CLASSES = many(CLASS)

_EVENTS: Field = (whole(1), "100", OF_SPRING)
_STACK: Field = (FLAG, "true", OF_SPRING)
_HEALTH: Mapping[str, Field] = {
    "registerHealthIndicator": (FLAG, "false", OF_SPRING),
    "allowHealthIndicatorToFail": (FLAG, "false", OF_SPRING),
}

CALLERS: Mapping[str, Mapping[str, Field]] = {
    "resilience4j.circuitbreaker": {
        "recordExceptions": (CLASSES, "", BY_OUTCOME),
        "ignoreExceptions": (CLASSES, "", BY_OUTCOME),
        "recordFailurePredicate": (CLASS, "", BY_OUTCOME),
        "recordResultPredicate": (CLASS, "", BY_OUTCOME),
        "ignoreExceptionPredicate": (CLASS, "", BY_OUTCOME),
        "ignoreClassBindingExceptions": (FLAG, "false", OF_SPRING),
        "writableStackTraceEnabled": _STACK,
        "eventConsumerBufferSize": _EVENTS,
        **_HEALTH,
    },
    "resilience4j.retry": {
        "retryExceptions": (CLASSES, "", BY_REPLY),
        "ignoreExceptions": (CLASSES, "", BY_REPLY),
        "retryExceptionPredicate": (CLASS, "", BY_REPLY),
        "resultPredicate": (CLASS, "", BY_REPLY),
        "consumeResultBeforeRetryAttempt": (CLASS, "", BY_REPLY),
        "intervalBiFunction": (CLASS, "", BY_WAIT),
        "failAfterMaxAttempts": (FLAG, "false", AT_CALLERS),
        "maxDuration": (duration(1), "", OF_CLIENT),
        "budgetPercent": (number(0, 100, above=True), "", OF_CLIENT),
        "budgetFloor": (whole(0), "3", OF_CLIENT),
        "ignoreClassBindingExceptions": (FLAG, "false", OF_SPRING),
        "eventConsumerBufferSize": _EVENTS,
    },
    "resilience4j.bulkhead": {
        "maxConcurrentCalls": (whole(1), "25", AT_CALLERS),
        "maxWaitDuration": (duration(), "0", AT_CALLERS),
        "writableStackTraceEnabled": _STACK,
        "eventConsumerBufferSize": _EVENTS,
    },
    "resilience4j.thread-pool-bulkhead": {
        "maxThreadPoolSize": (whole(0), "", AT_CALLERS),
        "coreThreadPoolSize": (whole(0), "", AT_CALLERS),
        "queueCapacity": (whole(0), "100", AT_CALLERS),
        "keepAliveDuration": (duration(), "20ms", AT_CALLERS),
        "contextPropagators": (CLASSES, "", OF_SPRING),
        "tags": (ANY, "", OF_SPRING),
        "writableStackTraceEnabled": _STACK,
        "eventConsumerBufferSize": _EVENTS,
    },
    "resilience4j.ratelimiter": {
        "limitForPeriod": (whole(1), "50", AT_CALLERS),
        "limitRefreshPeriod": (fine_duration(1), "500ns", AT_CALLERS),
        "timeoutDuration": (duration(), "5s", AT_CALLERS),
        "subscribeForEvents": (FLAG, "false", OF_SPRING),
        "writableStackTraceEnabled": _STACK,
        "eventConsumerBufferSize": _EVENTS,
        **_HEALTH,
    },
    "resilience4j.timelimiter": {
        "timeoutDuration": (duration(), "1s", AT_CALLERS),
        "cancelRunningFuture": (FLAG, "true", AT_CALLERS),
        "eventConsumerBufferSize": _EVENTS,
    },
}

ELSEWHERE: Mapping[str, str] = {
    **{f"{family}.metrics.**": OF_SPRING for family in CALLERS},
    **{f"{family}.tags.**": OF_SPRING for family in CALLERS},
    "resilience4j.circuitbreaker.circuitBreakerAspectOrder": OF_SPRING,
    "resilience4j.retry.retryAspectOrder": OF_SPRING,
    "resilience4j.bulkhead.bulkheadAspectOrder": OF_SPRING,
    "resilience4j.ratelimiter.rateLimiterAspectOrder": OF_SPRING,
    "resilience4j.timelimiter.timeLimiterAspectOrder": OF_SPRING,
    "resilience4j.scheduled.executor.**": OF_SPRING,
    "resilience4j.micrometer.**": OF_SPRING,
}

FORMERLY: Mapping[str, Mapping[str, str]] = {
    "resilience4j.circuitbreaker": {
        "ringBufferSizeInClosedState": "slidingWindowSize",
        "ringBufferSizeInHalfOpenState": "permittedNumberOfCallsInHalfOpenState",
        "waitInterval": "waitDurationInOpenState",
    },
    "resilience4j.retry": {"maxRetryAttempts": "maxAttempts", "waitDurationMillis": "waitDuration"},
    "resilience4j.bulkhead": {"maxConcurrentCall": "maxConcurrentCalls", "maxWaitTime": "maxWaitDuration"},
    "resilience4j.ratelimiter": {
        "limitRefreshPeriodInMillis": "limitRefreshPeriod",
        "limitRefreshPeriodInNanos": "limitRefreshPeriod",
        "timeoutInMillis": "timeoutDuration",
    },
}
