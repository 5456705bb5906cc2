"""The demo of breakers through its command line: a broker of its own, the worker killed while the breaker is open."""

from __future__ import annotations

import pytest

from tests.support.demo import demo

PERMITTED = 5


@pytest.mark.timeout(240)
def test_three_callers_stop_and_go_on_together_though_the_worker_is_killed() -> None:
    told = demo("breakers", "--kill")
    assert told["transitions"] == [
        "1: CLOSED -> OPEN (failure-rate)",
        "2: OPEN -> HALF_OPEN (wait)",
        "3: HALF_OPEN -> CLOSED (trial)",
        "4: CLOSED -> FORCED_OPEN (act)",
        "5: FORCED_OPEN -> CLOSED (act)",
    ]
    assert 0 < sum(told["trial_calls"].values()) <= PERMITTED
    assert told["exit_codes"] == [-9]
    assert told["answered"]["circuitBreakers"]["payment-service"]["state"] == "CLOSED"
    assert any(
        event["stateTransition"] == "FORCED_OPEN_TO_CLOSED" for event in told["answered"]["circuitBreakerEvents"]
    )
