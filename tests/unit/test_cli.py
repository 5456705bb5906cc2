from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import NOUNS, main
from app.cli.output import instant

QUICK_S = 0.3
HEAVY = ("faust", "aiokafka", "aiohttp", "rocksdict", "ruamel", "rich", "msgspec")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("IOPT_")]:
        monkeypatch.delenv(name)


def iopt(*args: str, **env: str) -> Result:
    return CliRunner().invoke(main, args, env=env)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from app.cli import main\n"
        "try: main(['--help'])\n"
        f"finally: print(sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    )
    times = []
    for _ in range(3):
        before = cpu_s()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        times.append(cpu_s() - before)
        assert (done.returncode, done.stderr.strip()) == (0, "[]")
        assert all(noun in done.stdout for noun in NOUNS)
    assert min(times) < QUICK_S


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_has_its_help(noun: str) -> None:
    assert iopt(noun, "--help").exit_code == 0


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("saga", "show", "order"),
        ("saga", "start", "order", "o-1", "--data", "{"),
        ("dlq", "show", "orders"),
        ("dlq", "replay", "orders"),
        ("dlq", "replay", "orders/0/1", "--reason", "bug"),
        ("dlq", "replay", "orders", "--reason", "bug", "--rate", "0"),
    ],
)
def test_wrong_usage_is_2(args: tuple[str, ...]) -> None:
    assert iopt(*args, IOPT_KAFKA="127.0.0.1:1").exit_code == 2


def test_settings_that_are_wrong_refuse_every_command() -> None:
    refused = iopt("saga", "list", IOPT_PORT="eighty")
    assert refused.exit_code == 1
    assert refused.output == "Error: IOPT_PORT: server.port='eighty': expected a whole number from 0 to 65535\n"


@pytest.mark.parametrize(
    "args",
    [("dlq", "list"), ("dlq", "show", "a/0/0"), ("topics", "diff"), ("topics", "create"), ("saga", "start", "a", "k")],
)
def test_a_broker_that_is_not_there_is_said_in_one_line(args: tuple[str, ...]) -> None:
    refused = iopt(*args, IOPT_KAFKA="127.0.0.1:1")
    assert refused.exit_code == 1
    said = "Error: no Kafka broker answers at 127.0.0.1:1 (spring.kafka.bootstrap-servers, IOPT_KAFKA)\n"
    assert refused.output == said


def test_a_worker_that_is_not_there_is_said_in_one_line() -> None:
    refused = iopt("breaker", "list", "--url", "http://127.0.0.1:1")
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: no worker answers at http://127.0.0.1:1: ")
    assert refused.output.count("\n") == 1


SAGA = {
    "saga": "order",
    "saga_id": "order/o-1",
    "key": "o-1",
    "run": 1,
    "state": "COMPLETED",
    "started_at": 1_790_000_000_000,
    "steps": [{"step": "PAY", "state": "done", "attempt": 1, "command_id": "c", "at": 1_790_000_000_000}],
}
ANSWERS: Mapping[str, tuple[int, Any]] = {
    "/sagas?limit=3": (200, {"items": [SAGA, SAGA], "next": "n"}),
    "/sagas?limit=1&cursor=n": (200, {"items": [{**SAGA, "key": "o-3"}], "next": "m"}),
    "/sagas?state=RUNNING&limit=100": (200, {"items": [], "next": None}),
    "/sagas/order/o-1": (200, SAGA),
    "/sagas/order/INV%2F1": (503, {"detail": "order/INV%2F1 is kept by another worker: that one must be asked"}),
    "/sagas/order/o-9": (200, {**SAGA, "saga_id": "order/o-9", "state": "RUNNING"}),
    "/actuator/circuitbreakers": (
        200,
        {"circuitBreakers": {"pay": {"state": "OPEN", "failureRate": "55.0%", "bufferedCalls": 20}}},
    ),
}


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = ANSWERS.get(self.path, (404, {"detail": f"there is nothing at {self.path}"}))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_sagas_are_listed_over_pages(url: str) -> None:
    found = json.loads(iopt("saga", "list", "--limit", "3", "--json", "--url", url).output)
    assert [row["key"] for row in found] == ["o-1", "o-1", "o-3"]


def test_no_sagas_are_said(url: str) -> None:
    assert iopt("saga", "list", "--state", "RUNNING", "--url", url).output == "this worker keeps no such saga\n"


def test_the_worker_is_the_one_of_the_settings(url: str) -> None:
    shown = iopt("saga", "show", "order", "o-1", SERVER_PORT=url.rpartition(":")[2], SERVER_ADDRESS="0.0.0.0")
    assert shown.exit_code == 0
    assert "2026-09-21T14:13:20.000Z" in shown.output
    assert "PAY   done   1" in shown.output


def test_what_the_worker_refuses_is_said_in_its_words(url: str) -> None:
    refused = iopt("saga", "show", "order", "INV/1", "--url", url)
    said = "Error: order/INV%2F1 is kept by another worker: that one must be asked\n"
    assert (refused.exit_code, refused.output) == (1, said)


def test_a_saga_that_has_not_ended_is_not_begun_again(url: str) -> None:
    refused = iopt("saga", "start", "order", "o-9", "--again", "--url", url)
    assert refused.exit_code == 1
    assert refused.output == "Error: order/o-9 is RUNNING: a new run begins when it has ended\n"


def test_breakers_are_listed(url: str) -> None:
    assert json.loads(iopt("breaker", "list", "--json", "--url", url).output) == [
        {"breaker": "pay", "state": "OPEN", "failureRate": "55.0%", "bufferedCalls": 20}
    ]


def test_instants_are_told_in_utc() -> None:
    assert (instant(1_790_000_000_007), instant(None)) == ("2026-09-21T14:13:20.007Z", "")
