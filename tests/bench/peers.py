"""The others: Kafka Streams, Quix Streams and stock faust-streaming, built or installed below var/bench."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.bench import rows
from tests.bench.contender import STREAMS, Contender, named, product
from tests.bench.oracle import Document

SOURCES = Path(__file__).with_name("streams")
QUIX = "quixstreams==3.28.1"
PEERS = ("streams", "quix", "faust")


class NoPeer(Exception):
    """One of them cannot be built or installed here."""


class Tuning(NamedTuple):
    cache: str  # of the store: on or off
    commit_ms: int

    def __str__(self) -> str:
        return f"cache {self.cache}, {self.commit_ms:,} ms"


DEFAULT = Tuning("off", 100)
BEST = {"w1": Tuning("on", 500), "w2": Tuning("on", 500), "w3": Tuning("off", 20)}  # until they were tried here


class Peers:
    """`best` says how Kafka Streams is tuned for a workload, as far as that was measured."""

    def __init__(self, wanted: list[str], directory: Path, best: Mapping[str, Tuning]) -> None:
        self.wanted, self.best = wanted, BEST | dict(best)
        self._java = build_streams(directory / "streams") if "streams" in wanted else ()
        self._quix = install_quix(directory / "quix") if "quix" in wanted else ""

    def all_of(self, workload: str) -> list[Contender]:
        """The product first; Kafka Streams as it comes, and at its best."""
        found = [product()]
        if self._java:
            tunings = {DEFAULT: ", its default", self.best[workload]: ", its best"}
            found += [self.streams(tuning, what) for tuning, what in tunings.items()]
        if self._quix:
            found.append(quix(self._quix, 1_000 if workload in ("w1", "w2") else 100))
        if "faust" in self.wanted:
            found.append(faust())
        return found

    def best_of(self, workload: str) -> list[Contender]:
        """The product, and Kafka Streams at its best."""
        return [product(), *([self.streams(self.best[workload], ", its best")] if self._java else [])]

    def streams(self, tuning: Tuning, what: str = "", threads: int = 1) -> Contender:
        settings = {"CACHE": tuning.cache, "COMMIT_MS": str(tuning.commit_ms), "THREADS": str(threads)}
        return Contender(
            name=f"{STREAMS} ({tuning}{what}{f', {threads} threads' if threads > 1 else ''})",
            command=self._java,
            environment=settings,
            changelog=lambda app, _: f"{app}-state-changelog",
            state=lambda _, key, value: (key.decode(), msgspec.json.decode(value)),
            pack=as_document,
        )


def as_document(_workload: str, saga: rows.Saga) -> tuple[bytes, bytes]:
    document = named(saga) | {"order": msgspec.Raw(saga.order)}
    return saga.saga.encode(), msgspec.json.encode(document)


def quix(python: str, commit_ms: int) -> Contender:
    return Contender(
        name=f"Quix Streams (exactly once, {commit_ms:,} ms)",
        command=(python, "-m", "tests.bench.quix_peer"),
        environment={"COMMIT_MS": str(commit_ms)},
        changelog=lambda app, inbox: f"changelog__{app}--{inbox}--default",
        state=lambda _, key, value: (json.loads(key.rsplit(b"|", 1)[0]), json.loads(value)),
        share=5,
    )


def faust() -> Contender:
    return Contender(
        name="stock Faust (at least once)",
        command=(sys.executable, "-m", "tests.bench.faust_peer"),
        changelog=lambda app, _: f"{app}-state-changelog",
        state=_quoted,
        share=20,
        once=True,
    )


def _quoted(_workload: str, key: bytes, value: bytes) -> tuple[str, Document]:
    return json.loads(key), json.loads(value)


def build_streams(work: Path) -> tuple[str, ...]:
    """Returns the command. Raises NoPeer."""
    java, javac = jdk("java"), jdk("javac")
    maven = shutil.which("mvn")
    if maven is None:
        raise NoPeer("Kafka Streams needs Maven, and there is no mvn on the PATH")
    libs, classes = work / "libs", work / "classes"
    dependencies = (maven, "-q", "-B", "-f", SOURCES / "pom.xml", "dependency:copy-dependencies")
    try:
        if not libs.exists():
            subprocess.run([*dependencies, f"-DoutputDirectory={libs}"], check=True)
        shutil.rmtree(classes, ignore_errors=True)
        sources = sorted(SOURCES.rglob("*.java"))
        subprocess.run([javac, "--release", "17", "-cp", f"{libs}/*", "-d", classes, *sources], check=True)
    except subprocess.CalledProcessError as error:
        raise NoPeer(f"Kafka Streams could not be built, and needs a JDK of version 17 or later: {error}") from error
    options = ("-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{classes}:{libs}/*")
    return (java, *options, "peers.Main")


def jdk(tool: str) -> str:
    """Raises NoPeer."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(tool, path=f"{home}/bin") if home else shutil.which(tool)
    if found is None:
        raise NoPeer(
            f"Kafka Streams needs a JDK of version 17 or later, and there is no {tool} in JAVA_HOME or on the PATH"
        )
    return found


def install_quix(work: Path) -> str:
    """In an environment of its own, since it pins other versions. Returns its Python. Raises NoPeer."""
    uv, python = Path(sys.executable).with_name("uv"), work / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([uv, "venv", "-q", "--python", sys.executable, work], check=True)
        subprocess.run([uv, "pip", "install", "-q", "-p", python, QUIX], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(work, ignore_errors=True)
        raise NoPeer(f"{QUIX} could not be installed with uv: {error}") from error
    return str(python)
