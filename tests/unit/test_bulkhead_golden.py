"""The bulkhead does what SemaphoreBulkhead does: tests/resilience4j/bulkhead.json, all levels."""

import pytest

from app.domain.bulkhead import Bulkhead, acquire, release, resize
from tests.support.resilience4j import scenarios


class Replay:
    def __init__(self, limit: int) -> None:
        self.bulkhead = Bulkhead(limit, limit)

    def step(self, op: str, to: int = 0) -> tuple[bool | None, list[str]]:
        match op:
            case "acquire":
                acquired = acquire(self.bulkhead)
                self.bulkhead = acquired or self.bulkhead
                return acquired is not None, ["CALL_PERMITTED" if acquired else "CALL_REJECTED"]
            case "resize":
                self.bulkhead = resize(self.bulkhead, to)
            case _:
                self.bulkhead = release(self.bulkhead)
        return None, ["CALL_FINISHED"] if op == "complete" else []


@pytest.mark.parametrize("scenario", scenarios("bulkhead"))
def test_it_does_what_resilience4j_does(scenario):
    replay = Replay(scenario["config"]["maxConcurrentCalls"])
    for n, (step, expected) in enumerate(zip(scenario["steps"], scenario["expect"]["steps"], strict=True)):
        assert replay.step(**step) == (expected.get("permitted"), expected.get("events", [])), f"step {n}"
        assert [replay.bulkhead.available, replay.bulkhead.limit] == expected["m"], f"step {n}"


def test_a_limit_below_the_calls_at_work_holds_once_they_have_ended():
    bulkhead = resize(Bulkhead(0, 2), 1)
    assert acquire(bulkhead) is None
    assert acquire(release(bulkhead)) is None
    assert acquire(release(release(bulkhead))) == Bulkhead(0, 1)
