"""`python -m tests.support.forking_caller BOOTSTRAP`: calls, forks with calls that nobody was told of, and calls on.

Parent and child call as often as CALLS says, and end once the fleet has opened their breaker.
"""

from __future__ import annotations

import os
import sys
import threading

from app.client.breaker import CircuitBreaker
from app.client.judging import CircuitBreakerPolicy
from app.client.kafka import connect
from app.client.scope import Who

SERVICE, CALLER, CLIENT = "payment-service", "order-service", "order-1"
CALLS = {"before": 700, "parent": 40, "child": 3_000}
OPENED_S = 90.0


def call(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.call(int)


def main(bootstrap: str) -> int:
    fleet = connect(bootstrap, Who(CALLER, CLIENT))
    breaker = fleet.breaker(SERVICE, CircuitBreakerPolicy())
    opened = threading.Event()
    breaker.on_event(lambda event: opened.set() if getattr(event, "to", None) == "OPEN" else None, "STATE_TRANSITION")
    if not fleet.ready.wait(OPENED_S):
        return 3
    call(breaker, CALLS["before"])
    child = os.fork()
    call(breaker, CALLS["parent" if child else "child"])
    if not opened.wait(OPENED_S):
        return 4
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
