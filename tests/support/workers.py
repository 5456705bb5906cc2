"""Worker processes of the toy row: started, waited for by what they log, ended in every way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from tests.support.kafka import wait_for

ROOT = Path(__file__).parents[2]
READY_S = 60.0  # a busy machine takes its time
PARTITIONS = 4

Event = dict[str, Any]


class Process:
    """One child whose stderr is read as events."""

    def __init__(self, command: list[str], log: Path, fault: str = "", env: Mapping[str, str] = os.environ) -> None:
        self.log = log
        with log.open("wb") as out:
            self._child = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=dict(env) | {"IOPT_FAULT": fault},
            )

    @property
    def code(self) -> int | None:
        return self._child.poll()

    @property
    def pid(self) -> int:
        return self._child.pid

    def events(self, name: str = "") -> list[Event]:
        found = []
        for line in self.log.read_bytes().splitlines():
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(event, dict) and name in ("", event.get("event")):
                found.append(event)
        return found

    def until(self, name: str, enough: Callable[[list[Event]], bool] = bool, within_s: float = READY_S) -> list[Event]:
        """The events of that name, once there are enough. Fails with the end of the log when it dies before."""

        def met() -> bool:
            if enough(self.events(name)):
                return True
            assert self.code is None, f"it ended with {self.code} and no {name}:\n{self.tail()}"
            return False

        try:
            wait_for(met, name, within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from error
        return self.events(name)

    def tail(self, lines: int = 20) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def signal(self, what: signal.Signals) -> None:
        if self.code is None:
            self._child.send_signal(what)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._child.wait()

    def wait(self, within_s: float = 20.0) -> int:
        """Its exit code."""
        try:
            return self._child.wait(within_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"still running after {within_s:g} s:\n{self.tail()}") from error

    def stop(self, within_s: float = 20.0) -> int:
        """SIGTERM; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(within_s)


class Workers:
    """Of one test: one prefix of topics, one group, and a data directory for each host that is played."""

    def __init__(self, bootstrap: str, prefix: str, directory: Path, **plan: Any) -> None:
        self.bootstrap, self.prefix, self.directory, self.plan = bootstrap, prefix, directory, plan
        self.all: list[Process] = []

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def start(self, *, data: str = "data", fault: str = "", **plan: Any) -> Process:
        """Not ready yet. `plan` are fields of the worker's Plan, and what `toy_worker` knows beside them."""
        options = json.dumps(self.plan | plan)
        command = [sys.executable, "-m", "tests.support.toy_worker", self.bootstrap, self.prefix]
        log = self.directory / f"worker-{len(self.all)}.log"
        worker = Process([*command, str(self.directory / data), options], log, fault)
        self.all.append(worker)
        return worker

    def ready(self, *, data: str = "data", fault: str = "", tasks: int = PARTITIONS, **plan: Any) -> Process:
        """Started, and so many tasks of it take records."""
        worker = self.start(data=data, fault=fault, **plan)
        worker.until("task_ready", lambda events: len({event["task"] for event in events}) >= tasks)
        return worker

    def end(self) -> None:
        for worker in self.all:
            worker.signal(signal.SIGCONT)
            worker.kill()


@contextmanager
def workers(bootstrap: str, prefix: str, directory: Path, **plan: Any) -> Iterator[Workers]:
    fleet = Workers(bootstrap, prefix, directory, **plan)
    try:
        yield fleet
    finally:
        fleet.end()
