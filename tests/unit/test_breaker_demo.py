"""What the demo of breakers would find, if it were not as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from deploy.demo.breakers.checks import WAY, findings, shuts
from deploy.demo.breakers.payment import Charge
from deploy.demo.breakers.seen import Said, Seen

STATES = ("CLOSED", "OPEN", "HALF_OPEN", "CLOSED", "FORCED_OPEN", "CLOSED")
BEGUN = tuple(10_000 * seq for seq in range(len(STATES)))
TRIAL = Charge(21_000, "order-service", "HALF_OPEN", done=True)


def state(seq: int) -> Said:
    return Said(BEGUN[seq] + 50, {"state": STATES[seq], "seq": seq, "permits_half_open": 2})


def move(seq: int, /, **more: Any) -> Said:
    from_, to, cause = WAY[seq - 1]
    told = {"from": from_, "to": to, "cause": cause, "seq": seq, "at": BEGUN[seq]}
    return Said(BEGUN[seq] + 50, told | more)


WHOLE = Seen([state(seq) for seq in range(6)], [move(seq) for seq in range(1, 6)])


def charge(at: int) -> Charge:
    return Charge(at, "order-service", "CLOSED", done=True)


def lent_again(seq: int) -> Said:
    return Said(0, {"state": "HALF_OPEN", "seq": seq, "permits_half_open": 2})


def test_all_is_well() -> None:
    assert findings(WHOLE, [charge(1), charge(11_000), TRIAL, TRIAL, charge(30_100)]) == []


@pytest.mark.parametrize(
    ("charges", "what"),
    [
        ([TRIAL, charge(11_051)], "order-service called 1001 ms after OPEN was heard"),
        ([TRIAL, charge(45_000)], "order-service called 4950 ms after FORCED_OPEN was heard"),
        ([TRIAL] * 3, "3 trial calls in HALF_OPEN: expected at least one, at most 2"),
        ([], "0 trial calls in HALF_OPEN: expected at least one, at most 2"),
    ],
)
def test_calls_that_should_not_have_been_made_are_found(charges: Sequence[Charge], what: str) -> None:
    assert findings(WHOLE, charges) == [what]


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (replace(WHOLE, transitions=[*WHOLE.transitions, move(5)]), "transitions: seq 5 2 times"),
        (replace(WHOLE, states=[*WHOLE.states, state(5)]), "states: seq 5 2 times"),
        (replace(WHOLE, states=WHOLE.states[:4] + WHOLE.states[5:]), "states: seq 0 1 2 3 5: expected one after"),
        (replace(WHOLE, transitions=WHOLE.transitions[:-1]), "transitions: seq 1 2 3 4; the states changed with"),
        (
            replace(WHOLE, transitions=[move(1, cause="act"), *WHOLE.transitions[1:]]),
            "its way was CLOSED -> OPEN (act)",
        ),
    ],
)
def test_a_way_with_a_gap_or_a_repetition_is_found(seen: Seen, what: str) -> None:
    assert any(found.startswith(what) for found in findings(seen, [TRIAL]))


def test_permits_that_are_lent_again_have_a_number_and_no_transition() -> None:
    states = [state(0), state(1), state(2), lent_again(3)]
    states += [Said(at, body | {"seq": body["seq"] + 1}) for at, body in WHOLE.states[3:]]
    moves = [move(1), move(2), *(move(seq, seq=seq + 1) for seq in (3, 4, 5))]
    assert findings(Seen(states, moves), [TRIAL]) == []


def test_how_late_the_last_call_came_is_told() -> None:
    assert [shut.last_ms([charge(10_450)]) for shut in shuts(WHOLE)] == [400, 0]
