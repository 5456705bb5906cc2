"""The first saga of the README: its files, its commands, its services, and what they come to."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from deploy.kafka import Broker, ports
from tests.support.kafka import wait_for

CHECKOUT = Path(__file__).parents[2]
FIRST = CHECKOUT / "deploy" / "first-saga"
PYTHON, IOPT = sys.executable, str(Path(sys.executable).with_name("iopt"))
SERVICES = [PYTHON, str(FIRST / "participant.py")]
PATIENCE_S = 60.0


class Terminal:
    """Runs what the README says, on a Kafka, a port and files of this test."""

    def __init__(self, kafka: str, directory: Path) -> None:
        [self.port] = ports.free(1)
        self.books, self._directory = directory / "books.sqlite", directory
        told = {"IOPT_KAFKA": kafka, "IOPT_PORT": str(self.port), "IOPT_DATA_DIR": str(directory / "state")}
        self._environment = os.environ | told | {"BOOKS": str(self.books)}

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self._environment, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def running(self, *command: str) -> Iterator[Callable[[], str]]:
        """What it has said so far can be asked for. It must end when it is told to."""
        log = self._directory / f"{Path(command[1]).name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=self._environment, cwd=CHECKOUT, stdout=out, stderr=out)
            try:
                yield log.read_text
            finally:
                process.terminate()
                process.wait(PATIENCE_S)

    def state(self, trip: str) -> str:
        listed = msgspec.json.decode(self.run(IOPT, "saga", "list", "--json"))
        return {saga["key"]: str(saga["state"]) for saga in listed}.get(trip, "")

    def bookings(self) -> list[tuple[str, str]]:
        with sqlite3.connect(self.books) as books:
            return sorted(books.execute("SELECT saga, service FROM bookings"))


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """`make run` serves the trips."""
    directory = tmp_path_factory.mktemp("first-saga")
    broker = Broker(directory / "kafka")
    broker.start()
    opened = Terminal(broker.bootstrap, directory)
    run = [PYTHON, "-m", "deploy.run", "--config", str(FIRST / "application.yml")]
    with opened.running(*run) as said:
        wait_for(lambda: said().count("task_ready") >= 12, "the tasks to be ready", PATIENCE_S)
        yield opened
    broker.stop()


def test_a_trip_is_booked_and_one_without_seats_gives_its_hotel_back(terminal: Terminal) -> None:
    with terminal.running(*SERVICES):
        terminal.run(IOPT, "saga", "start", "trip", "t-1", "--data", '{"tripId": "t-1", "seats": 2}')
        terminal.run(PYTHON, str(FIRST / "request_trip.py"), "t-2", "9")
        terminal.run(PYTHON, str(FIRST / "request_trip.py"), "t-2", "9")
        wait_for(lambda: terminal.state("t-1") == "COMPLETED", "t-1 to be booked", PATIENCE_S)
        wait_for(lambda: terminal.state("t-2") == "COMPENSATED", "t-2 to be given up", PATIENCE_S)
    shown = terminal.run(IOPT, "saga", "show", "trip", "t-2")
    assert "no-seats" in shown
    assert "trip/t-2:BOOK_HOTEL:undo:r1:1" in shown
    assert terminal.bookings() == [("trip/t-1", "airline"), ("trip/t-1", "hotel")]


def test_services_that_are_away_are_waited_for(terminal: Terminal) -> None:
    terminal.run(PYTHON, str(FIRST / "request_trip.py"), "t-3", "2")
    wait_for(lambda: terminal.state("t-3") == "RUNNING", "t-3 to begin", PATIENCE_S)
    with terminal.running(*SERVICES):
        wait_for(lambda: terminal.state("t-3") == "COMPLETED", "t-3 to be booked", PATIENCE_S)
    assert terminal.bookings()[-2:] == [("trip/t-3", "airline"), ("trip/t-3", "hotel")]
