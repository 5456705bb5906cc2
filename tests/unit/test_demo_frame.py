"""What every demo is played in: it tells how it ended by its exit code, and keeps what was written where it matters."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from deploy.demo import frame
from deploy.demo.frame import Told
from deploy.demo.shop import NotFresh


class Played:
    def __init__(self) -> None:
        self.shown: list[Told] = []
        self.directory = Path()

    def run(self, *, holds: bool | None = True, keep: bool = False, as_json: bool = False) -> int:
        """`holds` None: the Kafka that it finds is in use."""

        async def play(directory: Path, kafka: str) -> Told:
            self.directory = directory
            if holds is None:
                raise NotFresh("there are orders")
            return {"holds": holds, "kafka": kafka}

        return frame.run(play, self.shown.append, Console(stderr=True), keep=keep, json=as_json)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Played]:
    @contextmanager
    def kafka(_: Path) -> Iterator[str]:
        yield "here:9092"

    monkeypatch.setattr(frame, "local_kafka", kafka)
    monkeypatch.setattr(frame, "CHECKOUT", tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    yield Played()
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("holds", "keep", "code", "kept"),
    [(True, False, 0, False), (True, True, 0, True), (False, False, 1, True), (None, False, 1, False)],
)
def test_what_was_written_stays_where_it_did_not_hold_or_somebody_wants_it(
    played: Played, holds: bool | None, keep: bool, code: int, kept: bool
) -> None:
    assert played.run(holds=holds, keep=keep) == code
    assert played.directory.exists() == kept
    assert [told["holds"] for told in played.shown] == ([] if holds is None else [holds])


def test_as_json_it_is_told_on_standard_output_and_nothing_is_shown(
    played: Played, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert played.run(as_json=True) == 0
    assert json.loads(capfdbinary.readouterr().out) == {"holds": True, "kafka": "here:9092"}
    assert played.shown == []
