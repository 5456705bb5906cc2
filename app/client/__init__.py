"""The client library, shipped as `iopt_client`: calls of services, guarded as Resilience4j guards them."""

from ..domain.breakers.breaker_policy import Policy as BreakerPolicy
from ..domain.bulkhead import BulkheadPolicy, ThreadPoolBulkheadPolicy
from ..domain.interval import Interval
from ..domain.rate_limiter import RateLimiterPolicy
from ..domain.time_limiter import TimeLimiterPolicy
from .breaker import CircuitBreaker
from .breaker_events import BreakerEvent
from .bulkhead import Bulkhead
from .cache_fallback import CacheFallback, CachePolicy
from .clock import Clock
from .errors import (
    BulkheadFull,
    CallNotPermitted,
    MaxRetriesExceeded,
    NotPermitted,
    RequestNotPermitted,
    ResilienceError,
    TimeLimitExceeded,
)
from .events import Event
from .fallback import Fallback
from .fleet import Fleet, Limits
from .hedge import Hedge, HedgePolicy
from .judging import CircuitBreakerPolicy, OpenFor, OpenUntil
from .kafka import KafkaTransport, connect
from .part import Part
from .rate_limiter import RateLimiter
from .registry import Registry, RegistryEvent
from .report import Report
from .resilience import Guard, Resilience
from .retry import Ended, Retry, RetryPolicy
from .retry_budget import RetryBudget
from .scope import Who
from .settings import Settings, SettingsRefused
from .stopping import cancelled
from .thread_pool_bulkhead import ThreadPoolBulkhead
from .time_limiter import TimeLimiter

__all__ = [
    "BreakerEvent",
    "BreakerPolicy",
    "Bulkhead",
    "BulkheadFull",
    "BulkheadPolicy",
    "CacheFallback",
    "CachePolicy",
    "CallNotPermitted",
    "CircuitBreaker",
    "CircuitBreakerPolicy",
    "Clock",
    "Ended",
    "Event",
    "Fallback",
    "Fleet",
    "Guard",
    "Hedge",
    "HedgePolicy",
    "Interval",
    "KafkaTransport",
    "Limits",
    "MaxRetriesExceeded",
    "NotPermitted",
    "OpenFor",
    "OpenUntil",
    "Part",
    "RateLimiter",
    "RateLimiterPolicy",
    "Registry",
    "RegistryEvent",
    "Report",
    "RequestNotPermitted",
    "Resilience",
    "ResilienceError",
    "Retry",
    "RetryBudget",
    "RetryPolicy",
    "Settings",
    "SettingsRefused",
    "ThreadPoolBulkhead",
    "ThreadPoolBulkheadPolicy",
    "TimeLimitExceeded",
    "TimeLimiter",
    "TimeLimiterPolicy",
    "Who",
    "cancelled",
    "connect",
]
