"""Records that decode, with numbers that no clock and no counter has, and names that cannot be told apart."""

import msgspec
import pytest
from msgspec import structs

from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import CallOutcome
from app.domain.breakers.fleet import Fleet, due
from app.domain.errors import Invalid
from tests.support.fleets import Row

POLICY = Policy(sliding_window_size=4, minimum_number_of_calls=4)
HUGE = 2**64 - 1
RUBBISH = [
    CallOutcome(service="pay", outcome="success", duration_ms=HUGE),
    CallOutcome(service="pay", outcome="failure", duration_ms=HUGE),
    CallOutcome(service="pay", outcome="ignored", duration_ms=HUGE),
    CallOutcome(service="pay", counts={"success": 1, "failure": 1}, took_ms={"success": HUGE, "failure": HUGE}),
    CallOutcome(service="pay", counts={"ignored": 1, "rejected": HUGE}, took_ms={"ignored": HUGE}),
]


@pytest.mark.parametrize("rubbish", RUBBISH)
def test_a_number_out_of_all_bounds_does_not_keep_later_calls_from_being_stored(rubbish):
    row = Row(POLICY)
    for at_ms in range(2):
        row.tell(rubbish, at_ms)
    for at_ms in range(2, 6):
        row.call("failure", at_ms, duration_ms=7)
        row.call("rejected", at_ms)

    stored = msgspec.msgpack.encode(row.fleet)
    assert msgspec.msgpack.decode(stored, type=Fleet) == row.fleet
    assert row.kept.breaker.state == "OPEN"


@pytest.mark.parametrize(("until_at", "due_at"), [(-(2**70), 1), (-5, 1), (0, 1), (7_000, 7_000), (2**70, 2**53 - 1)])
def test_whatever_instant_it_opens_until_has_a_timer(until_at, due_at):
    row = Row(structs.replace(POLICY, automatic_transition_from_open_to_half_open_enabled=True))
    row.call("success", 5_000, opens_until_at=until_at)

    assert (row.kept.breaker.state, due(row.fleet)) == ("OPEN", due_at)
    row.fire(due_at)
    assert row.kept.breaker.state == "HALF_OPEN"


def test_of_a_long_error_the_beginning_is_kept_as_evidence():
    row = Row(POLICY)
    for at_ms in range(4):
        row.call("failure", at_ms, error="x" * 300_000)

    [opening] = row.transitions
    assert (opening.first_failure.error, opening.last_failure.error) == ("x" * 4_096, "x" * 4_096)


@pytest.mark.parametrize("field", ["service", "caller", "instance", "operation", "region", "client"])
def test_a_name_of_more_than_1024_characters_is_refused_by_its_field(field):
    longest = {"service": "pay", "outcome": "success", field: "é" * 1_024}
    assert getattr(msgspec.convert(longest, CallOutcome), field) == "é" * 1_024
    with pytest.raises(msgspec.ValidationError, match=rf"length <= 1024 - at `\$\.{field}`"):
        msgspec.convert(longest | {field: "é" * 1_025}, CallOutcome)


@pytest.mark.parametrize("service", ["pay:op", "pay:instance", "pay:from", "pay:op:charge", ":from:x"])
def test_a_service_whose_breakers_would_be_taken_for_those_of_another_is_invalid(service):
    row = Row(POLICY, service=service)
    for outcome in ("success", "rejected"):
        with pytest.raises(Invalid, match="is the name of a breaker, not of a service"):
            row.call(outcome, 0)
