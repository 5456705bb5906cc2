"""`iopt what-if breaker`: recorded calls under settings that are to be tried."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main

SETTINGS = """\
resilience4j.circuitbreaker:
  configs: {default: {permittedNumberOfCallsInHalfOpenState: 2, waitDurationInOpenState: 1s}}
  instances: {pay: {slidingWindowSize: 4, minimumNumberOfCalls: 4}}
"""
SUMMARY = {
    "breaker": "pay",
    "calls": 0,
    "good_rejected": 0,
    "bad_rejected": 0,
    "bad_permitted": 0,
    "opened": 0,
    "open_ms": 0,
    "state": "CLOSED",
}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("IOPT_")]:
        monkeypatch.delenv(name)


def what_if(*calls: Any, options: tuple[str, ...] = (), settings: str = SETTINGS) -> Result:
    Path("new.yml").write_text(settings)
    Path("calls.jsonl").write_text(
        "".join(f"{call if isinstance(call, str) else json.dumps(call)}\n" for call in calls)
    )
    return CliRunner().invoke(
        main, ["what-if", "breaker", "--config", "new.yml", "--outcomes", "calls.jsonl", *options]
    )


def call(at: int, outcome: str = "success", **more: Any) -> dict[str, Any]:
    return {"service": "pay", "outcome": outcome, "at": at, **more}


def tried(*calls: Any, **how: Any) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """Changes as (at, from, to, cause), and what was told in the end."""
    options = ("--json", *how.pop("options", ()))
    done = what_if(*calls, options=options, **how)
    assert done.exit_code == 0, done.output
    *changes, told = [json.loads(line) for line in done.stdout.splitlines()]
    return [(change["at"], change["from"], change["to"], change["cause"]) for change in changes], told


OUTAGE = [
    *(call(n) for n in (0, 1)),
    *(call(n, "failure") for n in (2, 3)),
    call(500),
    call(600, "timeout"),
    call(1_004),
]


def test_calls_are_asked_for_and_judged_in_their_own_time() -> None:
    changes, told = tried(*OUTAGE, call(1_005), call(1_006))
    assert changes == [
        (3, "CLOSED", "OPEN", "failure-rate"),
        (1_004, "OPEN", "HALF_OPEN", "wait"),
        (1_005, "HALF_OPEN", "CLOSED", "trial"),
    ]
    expected = {"calls": 9, "good_rejected": 1, "bad_rejected": 1, "bad_permitted": 2, "opened": 1, "open_ms": 1_001}
    assert told == {"summary": [{**SUMMARY, **expected}], "not_tried": 0, "bad_lines": 0}


def test_a_change_is_told_with_its_rates() -> None:
    [opened] = [json.loads(line) for line in what_if(*OUTAGE[:4]).stdout.splitlines()]
    assert opened == {
        "breaker": "pay",
        "at": 3,
        "from": "CLOSED",
        "to": "OPEN",
        "cause": "failure-rate",
        "failure_rate": 50.0,
        "slow_call_rate": 0.0,
        "buffered_calls": 4,
        "failed_calls": 2,
        "slow_calls": 0,
    }


def test_a_rate_exceeded_in_metrics_only_is_told_once_and_changes_nothing() -> None:
    settings = SETTINGS.replace("minimumNumberOfCalls: 4", "minimumNumberOfCalls: 4, initialState: METRICS_ONLY")
    changes, told = tried(*OUTAGE, settings=settings)
    assert changes == [(3, "METRICS_ONLY", "METRICS_ONLY", "failure-rate")]
    expected = {"calls": 7, "bad_permitted": 3, "state": "METRICS_ONLY"}
    assert told["summary"] == [{**SUMMARY, **expected}]


def test_timers_run_when_they_are_due_whenever_the_next_call_comes() -> None:
    settings = SETTINGS.replace("1s", "1s, automaticTransitionFromOpenToHalfOpenEnabled: true")
    changes, told = tried(*OUTAGE[:4], call(9_000), settings=settings)
    assert changes[1] == (1_003, "OPEN", "HALF_OPEN", "wait")
    assert told["summary"][0]["open_ms"] == 1_000


def test_a_call_that_was_not_permitted_then_is_not_tried() -> None:
    _, told = tried(call(0), call(1, "rejected"), call(2, "ignored"))
    assert (told["not_tried"], told["summary"][0]["calls"]) == (1, 2)


def test_folded_calls_count_as_if_each_had_come_alone() -> None:
    folded = {"service": "pay", "counts": {"success": 3, "failure": 2, "rejected": 4}, "to_at": 7}
    changes, told = tried(folded)
    assert changes == [(7, "CLOSED", "OPEN", "failure-rate")]
    assert (told["not_tried"], told["summary"][0]["calls"]) == (4, 5)


def test_each_breaker_that_the_settings_ask_for_is_tried_or_one_of_them() -> None:
    settings = f"{SETTINGS}iopt: {{breakers: {{pay: {{scopes: [service, operation]}}}}}}\n"
    calls = [call(0, operation="charge"), call(1, operation="refund")]
    _, told = tried(*calls, settings=settings)
    assert [row["breaker"] for row in told["summary"]] == ["pay", "pay:op:charge", "pay:op:refund"]
    _, told = tried(*calls, settings=settings, options=("--breaker", "pay:op:charge"))
    assert [(row["breaker"], row["calls"]) for row in told["summary"]] == [("pay:op:charge", 1)]
    nothing = what_if(*calls, options=("--breaker", "ship"))
    assert (nothing.exit_code, nothing.stderr) == (1, "Error: none of those calls is one of ship\n")


def test_time_does_not_go_back() -> None:
    changes, _ = tried(*OUTAGE[:3], call(0, "failure"))
    assert changes == [(2, "CLOSED", "OPEN", "failure-rate")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"service": "pay", "outcome": "success"}', "$.at: expected the instant of the call, ms since the epoch"),
        ('{"outcome": "success", "at": 1}', "$.service: missing"),
        ('{"service": "pay", "outcome": "success", "at": "noon"}', "$.at: expected int | null, got str"),
        ('{"service": "pay", "outcome": "fine", "at": 1}', "$.outcome: 'fine', expected success, failure, timeout, "),
        ('{"service": "pay", "counts": {"success": 1001}, "at": 1}', "$.counts: 1001 calls, expected at most 1000"),
        ("{", "$: "),
    ],
)
def test_a_bad_line_is_named_with_what_was_expected_or_counted(line: str, expected: str) -> None:
    refused = what_if(call(0), "", line)
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"Error: calls.jsonl:3: {expected}"), refused.stderr
    _, told = tried(call(0), line, call(1), options=("--skip-bad",))
    assert (told["bad_lines"], told["summary"][0]["calls"]) == (1, 2)


def test_people_read_a_table_beside_the_changes() -> None:
    done = what_if(*OUTAGE)
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr.splitlines()[1].split() == ["pay", "HALF_OPEN", "7", "1", "1", "2", "1", "1001"]
