"""Calls of payment-service from asyncio, guarded by policies in code. Copy it, and put your own call into `charge`.

pip install 'integration-optimization-client[kafka]'
python settings_in_code.py                          # a breaker of this process alone
KAFKA=localhost:9092 python settings_in_code.py     # one for all processes that call it, led by `iopt worker`
"""

import asyncio
import logging
import os

from iopt_client import (
    CallNotPermitted,
    CircuitBreakerPolicy,
    Resilience,
    RetryPolicy,
    TimeLimiterPolicy,
    Who,
    connect,
)

POLICIES = {
    "circuitbreaker": {
        "payment-service": CircuitBreakerPolicy(
            sliding_window_size=10,
            minimum_number_of_calls=5,
            wait_duration_in_open_state_ms=30_000,
            permitted_number_of_calls_in_half_open_state=3,
            record_exceptions=(ConnectionError, TimeoutError),
        )
    },
    "retry": {"payment-service": RetryPolicy(max_attempts=2, wait_ms=50, retry_exceptions=(ConnectionError,))},
    "timelimiter": {"default": TimeLimiterPolicy(timeout_duration_ms=2_000)},
}

log = logging.getLogger("order-service")
kafka = os.environ.get("KAFKA")
fleet = connect(kafka, Who.of("order-service")) if kafka else None
resilience = Resilience(policies=POLICIES, fleet=fleet)


async def queue(refused: CallNotPermitted, order: str) -> str:
    return f"queued {order}, payment-service is {refused.state}"


@resilience("payment-service", fallback={CallNotPermitted: queue})
async def charge(order: str) -> str:
    if order.startswith("unlucky"):
        raise ConnectionError("payment-service does not answer")
    return f"charged {order}"


async def main() -> None:
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    for order in ("o-1", "o-2", "unlucky-3", "unlucky-4", "o-5"):
        try:
            log.info(await charge(order))
        except ConnectionError as error:
            log.info("%s: %s", order, error)


if __name__ == "__main__":
    asyncio.run(main())
