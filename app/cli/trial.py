"""Recorded call outcomes, played through the breakers that settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import click
import msgspec

from app.config import Settings
from app.domain.breakers import folding
from app.domain.breakers.breaker import Event, Verdict
from app.domain.breakers.calls import CallOutcome
from app.domain.breakers.rehearsal import Rehearsal
from app.domain.breakers.scopes import names_of
from app.domain.breakers.window import shown
from app.domain.errors import Rejected
from app.wire.codec import reader, to_json

VERDICTS = {
    "success": Verdict.SUCCESS,
    "failure": Verdict.ERROR,
    "timeout": Verdict.ERROR,
    "ignored": Verdict.IGNORED,
}
AT = "$.at: expected the instant of the call, ms since the epoch"

Call = tuple[Verdict, int, str]


class BadLine(Exception):
    """What was expected, and where in the line."""


class Trial:
    """`not_tried` are calls that were not permitted when they were recorded."""

    def __init__(self, settings: Settings, only: str | None) -> None:
        self._settings, self._only = settings, only
        self._names: dict[tuple[str | None, ...], tuple[str, ...]] = {}
        self._breakers: dict[str, Rehearsal] = {}
        self.not_tried = self.bad_lines = 0

    def play(self, lines: IO[bytes], *, skip_bad: bool) -> Iterator[str]:
        """Each change of state, as JSON. Raises ClickException for a bad line, if they are not to be skipped."""
        read: Callable[[bytes], CallOutcome] = reader(CallOutcome)
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield from self._line(read(line))
            except (Rejected, BadLine) as error:
                if not skip_bad:
                    raise click.ClickException(f"{lines.name}:{number}: {error}") from error
                self.bad_lines += 1
        for name, breaker in self._breakers.items():
            yield from _told(name, breaker.end())

    def summary(self) -> list[dict[str, Any]]:
        return [
            {"breaker": name, **msgspec.structs.asdict(breaker.tally())}
            for name, breaker in sorted(self._breakers.items())
        ]

    def _line(self, said: CallOutcome) -> Iterator[str]:
        at = said.at if said.at is not None else said.to_at
        if at is None:
            raise BadLine(AT)
        if said.counts is not None:
            folding.check(said)
            yield from self._folded(said, at)
        elif said.outcome == "rejected":
            self.not_tried += 1
        elif (verdict := VERDICTS.get(said.outcome or "")) is None:
            raise BadLine(f"$.outcome: {said.outcome!r}, expected {', '.join(VERDICTS)} or rejected")
        else:
            for name in self._counting(said):
                if changes := self._breaker(name, at).call(at, verdict, said.duration_ms or 0, said.error or ""):
                    yield from _told(name, changes)

    def _folded(self, said: CallOutcome, at: int) -> Iterator[str]:
        counts = said.counts or {}
        self.not_tried += counts.get("rejected", 0)
        for name in self._counting(said):
            breaker = self._breaker(name, at)
            for run in folding.runs(said, at, self._settings.breaker_policy(name)):
                for _ in range(run.times):
                    yield from _told(
                        name, breaker.call(at, Verdict(run.call.failed), run.call.duration_ms, run.call.error)
                    )
            for _ in range(counts.get("ignored", 0)):
                yield from _told(name, breaker.call(at, Verdict.IGNORED, 0, ""))

    def _counting(self, said: CallOutcome) -> tuple[str, ...]:
        """The breakers that count the call."""
        key = said.service, said.operation, said.instance, said.caller
        found = self._names.get(key)
        if found is None:
            every = names_of(*key, self._settings.breaker_scopes(said.service).kept)
            found = self._names[key] = tuple(name for name in every if self._only in (None, name))
        return found

    def _breaker(self, name: str, at: int) -> Rehearsal:
        found = self._breakers.get(name)
        if found is None:
            found = self._breakers[name] = Rehearsal(name, self._settings.breaker_policy(name), at)
        return found


def _told(name: str, events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        assert event.change
        window = event.change.window
        failure_rate, slow_call_rate = window.rates(1)
        said = {
            "breaker": name,
            "at": event.at,
            "from": event.change.from_,
            "to": event.change.to,
            "cause": event.change.cause,
            "failure_rate": shown(failure_rate),
            "slow_call_rate": shown(slow_call_rate),
            "buffered_calls": window.buffered,
            "failed_calls": window.failed,
            "slow_calls": window.slow,
        }
        yield to_json(said).decode()
