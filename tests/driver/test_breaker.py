"""The breaker row: outcomes in, transitions and states out."""

import pytest

from agents.breaker import judge_calls
from app.domain.breaker import Policy
from app.domain.calls import CallOutcome
from app.domain.fleet import Fleet
from app.engine.driver import EPOCH_MS, Driver
from app.engine.processor import PROCESSORS
from app.wire.topics import BREAKER_STATES, BREAKER_TRANSITIONS, CALL_OUTCOMES
from tables.breaker import breakers, policies

POLICIES = {
    "payment-service": Policy(
        sliding_window_size=20,
        minimum_number_of_calls=10,
        wait_duration_in_open_state_ms=30_000,
        permitted_number_of_calls_in_half_open_state=3,
    ),
    "courier-service": Policy(
        minimum_number_of_calls=1,
        wait_duration_in_open_state_ms=5_000,
        automatic_transition_from_open_to_half_open_enabled=True,
        max_wait_duration_in_half_open_state_ms=7_000,
        permitted_number_of_calls_in_half_open_state=2,
    ),
}


@pytest.fixture(params=[False, True], ids=["batch", "careful"])
def driver(request) -> Driver:
    processors = [p for p in PROCESSORS if p.run is judge_calls]
    return Driver(processors, settings={policies: lambda name: POLICIES.get(name, Policy())}, careful=request.param)


def send(driver: Driver, service: str, *outcomes: str) -> None:
    for outcome in outcomes:
        driver.send(CALL_OUTCOMES, service, CallOutcome(service=service, outcome=outcome, caller="orders"))


def moves(driver: Driver) -> list[tuple[str, str, str, str, int]]:
    return [(key, t.from_, t.to, t.cause, t.at - EPOCH_MS) for key, t in driver.outputs(BREAKER_TRANSITIONS)]


def states(fleet: Fleet) -> dict[str, str]:
    return {name: kept.breaker.state for name, kept in fleet.breakers.items()}


def test_a_failing_service_is_shut_off_probed_and_let_in_again(driver):
    send(driver, "payment-service", *["success"] * 5, *["failure"] * 5)
    driver.advance("31s")
    send(driver, "payment-service", "success", "success", "failure")
    assert moves(driver) == [
        ("payment-service", "CLOSED", "OPEN", "failure-rate", 0),
        ("payment-service", "OPEN", "HALF_OPEN", "wait", 31_000),
        ("payment-service", "HALF_OPEN", "CLOSED", "trial", 31_000),
    ]
    key, state = driver.outputs(BREAKER_STATES)[-1]
    assert (key, state.state, state.seq, state.until_at) == ("payment-service", "CLOSED", 3, None)


def test_a_service_without_a_policy_of_its_own_has_resilience4js_defaults(driver):
    send(driver, "inventory-service", *["timeout"] * 99)
    assert moves(driver) == []
    send(driver, "inventory-service", "timeout")
    assert moves(driver) == [("inventory-service", "CLOSED", "OPEN", "failure-rate", 0)]


def test_with_the_automatic_transition_time_alone_moves_it(driver):
    send(driver, "courier-service", "failure")
    driver.advance("20s")
    assert moves(driver) == [
        ("courier-service", "CLOSED", "OPEN", "failure-rate", 0),
        ("courier-service", "OPEN", "HALF_OPEN", "wait", 5_000),
        ("courier-service", "HALF_OPEN", "OPEN", "wait", 12_000),
        ("courier-service", "OPEN", "HALF_OPEN", "wait", 17_000),
    ]


def test_each_service_has_a_breaker_of_its_own(driver):
    send(driver, "payment-service", *["failure"] * 10)
    send(driver, "inventory-service", "success")
    assert {service: states(fleet) for service, fleet in driver.table(breakers).items()} == {
        "payment-service": {"payment-service": "OPEN"},
        "inventory-service": {"inventory-service": "CLOSED"},
    }


def test_every_record_has_a_fate(driver):
    send(driver, "payment-service", "success", "rejected", "postponed")
    driver.send(CALL_OUTCOMES, "payment-service", CallOutcome(service="payment-service", counts={"failure": 50}))
    driver.send(CALL_OUTCOMES, "payment-service", b'{"service":"payment-service"}')
    [letter] = driver.dead(CALL_OUTCOMES)
    assert letter.reason == "undecodable"
    fates = {(fate, reason): count for (_, fate, reason), count in driver.fates.items()}
    assert sum(fates.values()) == 5
    assert fates["passed-over", "folded-counts"] == fates["passed-over", "unknown-outcome"] == 1
    assert driver.table(breakers)["payment-service"].breakers["payment-service"].breaker.not_permitted == 1
