"""The whole demo through its command line: a broker of its own, the worker killed on the way, the books at the end."""

from __future__ import annotations

import pytest

from tests.support.demo import demo

ORDERS = 60


@pytest.mark.timeout(240)
def test_orders_end_as_they_should_though_the_worker_is_killed() -> None:
    told = demo("--orders", str(ORDERS), "--kill", "1")
    assert told["completed"] + told["compensated"] + told.get("in_debt", 0) == ORDERS
    assert (told["kills"], told["restarts"]) == (1, 1)
    assert told["dead_letters"] == {"undecodable": 1, "bad-key": 1}
