"""What each section found, kept as JSON: the report is made from what there is, measured together or not."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from tests.bench.breakers import Breakers
from tests.bench.cost import Profile
from tests.bench.latency import Latency, Levels
from tests.bench.orders import Phase
from tests.bench.pause import Pause
from tests.bench.restore import Cold
from tests.bench.run import Measured
from tests.bench.tuning import Tried

F = TypeVar("F")
Throughput = dict[str, list[Measured]]  # by contender
Curves = dict[str, dict[int, Measured]]  # by contender, by what is scaled

KINDS: dict[str, Any] = {
    "tuning": list[Tried],
    "w1": Throughput,
    "w2": Throughput,
    "w3": dict[str, list[Latency]],
    "w4": dict[str, list[Cold]],
    "w5": list[list[Phase]],
    "breakers": list[Breakers],
    "latency": dict[str, Levels],
    "workers": Curves,
    "inflight": dict[str, dict[int, Cold]],
    "partitions": Curves,
    "topics": Curves,
    "pause": dict[str, list[Pause]],
    "profile": dict[str, Profile],
}


class Kept(msgspec.Struct, Generic[F]):
    """`found` is of the section's kind, and `quick` says that it is no measurement."""

    at: str
    commit: str
    load: float  # of the machine, before it began
    niceness: int
    command: str
    quick: bool
    found: F

    @property
    def when(self) -> str:
        return (
            f"{self.at}, commit {self.commit}, load {self.load:.1f} before, niceness {self.niceness}, `{self.command}`"
        )


def kept(found: Any, load: float, *, quick: bool) -> Kept[Any]:
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    command = " ".join(["python -m tests.bench", *sys.argv[1:]])
    return Kept(at, commit(), load, os.nice(0), command, quick, found)


def commit() -> str:
    git = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


class Results:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def keep(self, section: str, what: Kept[Any]) -> None:
        (self._directory / f"{section}.json").write_bytes(msgspec.json.format(msgspec.json.encode(what)))

    def load(self, section: str) -> Kept[Any] | None:
        file = self._directory / f"{section}.json"
        if not file.exists():
            return None
        generic: Any = Kept
        found: Kept[Any] = msgspec.json.decode(file.read_bytes(), type=generic[KINDS[section]])
        return found

    def all_(self) -> dict[str, Kept[Any]]:
        return {section: found for section in KINDS if (found := self.load(section)) is not None}
