from __future__ import annotations

from collections import Counter

import pytest

from deploy.demo.books import Audit, Finding
from deploy.demo.report import DEAD_LETTERS_DUE, Outcome, percentiles
from deploy.demo.story import Story


def outcome(
    findings: tuple[Finding, ...] = (), letters: dict[str, int] = DEAD_LETTERS_DUE, twice: tuple[str, ...] = ()
) -> Outcome:
    return Outcome(
        orders=0,
        seed=7,
        took_s=1.0,
        story=Story(),
        audit=Audit(findings, {}, {}),
        dead_letters=Counter(letters),
        commands=0,
        sent_twice=twice,
        kills=1,
        kills_due=1,
        deaths=[-9],
    )


def test_it_holds_where_nothing_was_found() -> None:
    assert outcome().told()["holds"] is True


@pytest.mark.parametrize(
    "off",
    [
        outcome(findings=(Finding("o-1", "charged twice"),)),
        outcome(letters={}),
        outcome(letters={**DEAD_LETTERS_DUE, "bug": 1}),
        outcome(twice=("order/o-1:PAY:do:r1:1",)),
    ],
    ids=["books", "no dead letters", "a bug", "a command sent twice"],
)
def test_it_does_not_hold_where_something_was(off: Outcome) -> None:
    told = off.told()
    assert told["holds"] is False
    assert told["findings"] != []


def test_a_kill_that_did_not_happen_is_found() -> None:
    spared = Outcome(0, 7, 1.0, Story(), Audit((), {}, {}), Counter(DEAD_LETTERS_DUE), 0, (), 0, 1, [])
    assert spared.told()["findings"] == ["demo: killed 0 times of 1"]


def test_percentiles_are_of_what_has_begun_and_ended() -> None:
    begun = {str(n): 0 for n in range(100)}
    assert percentiles(begun | {"unended": 5}, {str(n): n + 1 for n in range(100)}) == {"p50": 51, "p99": 100}
