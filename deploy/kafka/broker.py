"""One Kafka node as a child process. It does not outlive its parent, however that ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from deploy.kafka import ports
from deploy.kafka.errors import NoKafka
from deploy.kafka.kit import KAFKA_4, Kit, Release, prepare, write_properties
from deploy.kafka.say import say

START_S = 120.0
STOP_S = 60.0
POLL_S = 0.05
STARTED = "Kafka Server started"
LEASH = 'read -r _; kill -TERM "$1"'  # its input is a pipe that ends when the parent does


class NotStarted(NoKafka):
    pass


class Broker:
    """Its data stays in `directory`: stopped or killed, it starts again with what it had, on the same port."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        heap: str = "256m",
        properties: Mapping[str, str] = MappingProxyType({}),
        release: Release = KAFKA_4,
    ) -> None:
        self.directory, self.properties = directory.resolve(), properties
        self.heap, self.release = heap, release
        self.port, self.controller_port = [port, *ports.free(1)] if port else ports.free(2)
        self._java: subprocess.Popen[bytes] | None = None
        self._leash: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Raises NotStarted."""
        if self._java is None:
            raise NotStarted(f"{self.directory}: no broker runs here")
        return self._java.pid

    @property
    def log(self) -> Path:
        return self.directory / "broker.log"

    def start(self) -> None:
        """Returns when it serves; raises NotStarted with the end of its log."""
        kit = prepare(self.release)
        if not kit.archive.exists():
            make_archive(kit)
        self._launch(kit, f"-XX:SharedArchiveFile={kit.archives()}")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _launch(self, kit: Kit, *options: str) -> None:
        for port in (self.port, self.controller_port):
            if not ports.is_free(port):
                raise NotStarted(f"port {port} of 127.0.0.1 is taken")
        self._lay_out(kit.formatted)
        properties = write_properties(self.directory, self.port, self.controller_port, self.properties)
        command = [*kit.command(self.heap, *options), "kafka.Kafka", str(properties)]
        with self.log.open("wb") as log:
            self._java = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._leash = subprocess.Popen(
            ["/bin/sh", "-c", LEASH, "leash", str(self._java.pid)], stdin=subprocess.PIPE, start_new_session=True
        )
        self._wait_until_it_serves(self._java)

    def _lay_out(self, formatted: Path) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if not (self.directory / "logs" / "meta.properties").exists():
            shutil.copytree(formatted, self.directory / "logs", dirs_exist_ok=True)

    def _wait_until_it_serves(self, java: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_S
        while STARTED not in self.log.read_text(errors="replace"):
            if java.poll() is not None or time.monotonic() > deadline:
                self.kill()
                end = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
                raise NotStarted(f"Kafka did not start; the end of {self.log}:\n{end}")
            time.sleep(POLL_S)

    def _end(self, how: signal.Signals) -> None:
        if self._java is None or self._leash is None:
            return
        self._leash.kill()
        self._leash.communicate()
        self._java.send_signal(how)
        try:
            self._java.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._java.kill()
            self._java.wait()
        self._java = self._leash = None


def make_archive(kit: Kit) -> None:
    """Runs a broker once to see which classes its start needs; with their archive it starts in half the time."""
    say("Kafka: making a class data archive, once")
    with tempfile.TemporaryDirectory(dir=kit.archive.parent) as scratch:
        part = Path(scratch, "classes.jsa")
        base = [f"-XX:SharedArchiveFile={kit.base}"] if kit.base else []
        broker = Broker(Path(scratch, "broker"))
        broker._launch(kit, *base, f"-XX:ArchiveClassesAtExit={part}")
        broker.stop()
        if part.exists():
            part.replace(kit.archive)
        else:
            say("Kafka: this Java made no class data archive; the broker starts without")


@contextmanager
def local_kafka(
    directory: Path, *, port: int | None = None, heap: str = "256m", release: Release = KAFKA_4
) -> Iterator[str]:
    """Yields host:port of a broker that ends with the block; of the cluster that IOPT_KAFKA names, if it is set."""
    if given := os.environ.get("IOPT_KAFKA"):
        yield given
        return
    broker = Broker(directory, port=port, heap=heap, release=release)
    try:
        broker.start()
        yield broker.bootstrap
    finally:
        broker.stop()
