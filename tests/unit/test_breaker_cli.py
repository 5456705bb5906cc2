"""`iopt breaker`, against the product's own HTTP."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.domain.breakers.breaker import Breaker, State
from app.domain.breakers.calls import CallOutcome
from app.domain.breakers.fleet import Fleet, Kept
from app.engine.tail import Seen
from app.web import breaker_acts
from app.web.service import Door
from app.wire.topics import CALL_OUTCOMES
from tests.support.web import OneWorker, beside, obey


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("IOPT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def worker() -> OneWorker:
    found = OneWorker()
    found.named = {"circuitbreaker": ["pay"]}
    found.acting = lambda act: obey(found, act)
    return found


@pytest.fixture
def url(worker: OneWorker) -> Iterator[str]:
    with beside(worker) as found:
        yield found.url


def iopt(url: str, *args: str, **env: str) -> Result:
    return CliRunner().invoke(main, ["breaker", *args, "--url", url], env=env)


def test_breakers_are_listed_and_shown(worker: OneWorker, url: str) -> None:
    worker.tables["breakers"] = {"ship": Fleet({"ship": Kept(Breaker(State.OPEN))})}
    listed = json.loads(iopt(url, "list", "--json").output)
    assert [(row["breaker"], row["state"]) for row in listed] == [("pay", "CLOSED"), ("ship", "OPEN")]
    assert "failureRate            -1.0%" in iopt(url, "show", "ship").output
    unknown = iopt(url, "show", "nobody")
    assert (unknown.exit_code, unknown.output) == (1, "Error: there is no breaker nobody\n")


@pytest.mark.parametrize(
    ("command", "act", "state"),
    [
        ("open", "force-open", "FORCED_OPEN"),
        ("close", "close", "CLOSED"),
        ("disable", "disable", "DISABLED"),
        ("metrics-only", "metrics-only", "METRICS_ONLY"),
        ("reset", "reset", "CLOSED"),
    ],
)
def test_a_breaker_is_changed_by_hand(worker: OneWorker, url: str, command: str, act: str, state: str) -> None:
    done = iopt(url, command, "pay", "--reason", "a trial")
    assert (done.exit_code, done.output) == (0, f"{state}: pay state has been changed successfully\n")
    assert [(sent.act, sent.reason) for sent in worker.acts] == [(act, "a trial")]


def test_what_does_not_show_in_time_is_1(worker: OneWorker, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker_acts, "PATIENCE_S", 0.1)
    monkeypatch.setattr(breaker_acts, "AUDIT_S", 0.1)
    worker.acting = lambda _: None
    done = iopt(url, "open", "pay")
    assert done.exit_code == 1
    assert "was sent, and does not show" in done.output


def test_what_is_refused_is_said_in_the_workers_words(url: str) -> None:
    refused = iopt(url, "open", "nobody")
    assert (refused.exit_code, refused.output) == (1, "Error: there is no breaker nobody\n")


def test_the_token_of_the_settings_is_shown(worker: OneWorker, url: str) -> None:
    worker.says_door = Door("0.0.0.0", "s3cret")
    assert iopt(url, "open", "pay").exit_code == 1
    assert iopt(url, "open", "pay", IOPT_HTTP_TOKEN="s3cret").exit_code == 0


def test_events_are_listed(worker: OneWorker, url: str) -> None:
    worker.hear(CALL_OUTCOMES, "pay", CallOutcome(service="pay", outcome="failure", error="Refused", duration_ms=7))
    worker.hear(CALL_OUTCOMES, "pay", CallOutcome(service="pay", outcome="success"))
    assert [event["type"] for event in json.loads(iopt(url, "events", "--json").output)] == ["ERROR", "SUCCESS"]
    table = iopt(url, "events", "pay", "--type", "error").output.splitlines()
    assert table[1].split() == ["2026-09-21T14:13:20Z[UTC]", "pay", "ERROR", "7", "Refused"]
    assert iopt(url, "events", "--type", "error").exit_code == 2


class Telling(OneWorker):
    """It tells of one call once somebody listens, and stops."""

    stop: Callable[[], None]

    @asynccontextmanager
    async def following(self, hand: Callable[[Seen], None]) -> AsyncIterator[None]:
        async with super().following(hand):
            asyncio.get_running_loop().call_soon(self._tell)
            yield

    def _tell(self) -> None:
        self.hear(CALL_OUTCOMES, "pay", CallOutcome(service="pay", outcome="success", duration_ms=3))
        self.stop()


def test_events_are_watched_until_the_worker_ends() -> None:
    worker = Telling()
    with beside(worker) as found:
        worker.stop = found.stop
        watched = iopt(found.url, "watch")
    assert watched.exit_code == 1
    assert watched.output.splitlines() == [
        "2026-09-21T14:13:20Z[UTC]  pay  SUCCESS  3",
        "Error: the worker has ended the stream",
    ]
