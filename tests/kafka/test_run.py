"""`make run`: Kafka and the service under the restarting loop."""

from __future__ import annotations

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import psutil

from deploy.demo.shop import THEIRS
from deploy.kafka import Broker, ports
from tests.support.kafka import Kafka, wait_for

PATIENCE_S = 60.0


def test_a_killed_worker_comes_back_and_sigterm_ends_all(tmp_path: Path) -> None:
    [port] = ports.free(1)
    with running(Broker(tmp_path / "kafka")) as kafka:
        told = {"IOPT_KAFKA": kafka, "IOPT_PORT": str(port), "IOPT_DATA_DIR": str(tmp_path / "state")}
        with (tmp_path / "run.log").open("wb") as log:
            run = psutil.Popen([sys.executable, "-m", "deploy.run"], env=os.environ | told, stdout=log, stderr=log)
        wait_for(lambda: is_ready(port) or run.poll() is not None, "readiness", PATIENCE_S)
        assert run.poll() is None, (tmp_path / "run.log").read_text()
        assert set(THEIRS) <= set(Kafka(kafka).topics())
        [first] = run.children()
        first.kill()
        wait_for(lambda: is_ready(port) and run.children() not in ([], [first]), "another worker", PATIENCE_S)
        [second] = run.children()
        run.send_signal(signal.SIGTERM)
        assert run.wait(PATIENCE_S) == 0
        assert not second.is_running()


@contextmanager
def running(broker: Broker) -> Iterator[str]:
    broker.start()
    yield broker.bootstrap
    broker.stop()


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/actuator/health/readiness", timeout=2) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
