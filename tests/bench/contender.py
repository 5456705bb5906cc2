"""Who is measured: a process, started the same way, that reads one topic and writes the others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from app.engine.processor import Table
from app.engine.stored import Codec
from app.wire.topics import changelog
from tests.bench import rows
from tests.bench.oracle import Document

STREAMS = Path(__file__).with_name("streams")


class NoJdk(Exception):
    """Kafka Streams cannot be built: no JDK of version 17 or later, or no Maven."""


@dataclass(frozen=True, slots=True)
class Contender:
    """`changelog` names the topic of an application id, `state` reads a record of it; None: not a state."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    changelog: Callable[[str], str]
    state: Callable[[str, bytes, bytes], tuple[str, Document] | None]


def product() -> Contender:
    command = (sys.executable, "-m", "tests.bench.product")
    return Contender("this engine", command, {}, lambda app: changelog(app).name, product_state)


def product_state(workload: str, key: bytes, value: bytes) -> tuple[str, Document] | None:
    table: Table[Any] = rows.breakers if workload == "w1" else rows.sagas
    if key[0] != table.id:
        return None
    return key[1:].decode(), named(Codec(table).unpack(value))


def named(state: msgspec.Struct) -> Document:
    """An array-like Struct as a document, those in it too."""
    values = {name: getattr(state, name) for name in state.__struct_fields__}
    return {name: [named(part) for part in of] if isinstance(of, tuple) else of for name, of in values.items()}


def kafka_streams(work: Path) -> list[Contender]:
    """Built here. The Processor API's store cache is off unless asked for; the better one counts."""
    java = build(work)
    options = ("-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{work}/classes:{work}/libs/*")
    return [
        Contender(
            f"Kafka Streams, cache {cache}", (java, *options, "peers.Main"), {"CACHE": cache}, _streams_changelog, _json
        )
        for cache in ("off", "on")
    ]


def _streams_changelog(app: str) -> str:
    return f"{app}-state-changelog"


def _json(_workload: str, key: bytes, value: bytes) -> tuple[str, Document]:
    return key.decode(), msgspec.json.decode(value)


def build(work: Path) -> str:
    """Returns `java`. Raises NoJdk."""
    java, javac = jdk("java"), jdk("javac")
    maven = shutil.which("mvn")
    if maven is None:
        raise NoJdk("Kafka Streams needs Maven, and there is no mvn on the PATH")
    libs, classes = work / "libs", work / "classes"
    dependencies = (maven, "-q", "-B", "-f", STREAMS / "pom.xml", "dependency:copy-dependencies")
    sources = sorted(STREAMS.rglob("*.java"))
    try:
        subprocess.run([*dependencies, f"-DoutputDirectory={libs}"], check=True)
        subprocess.run([javac, "--release", "17", "-cp", f"{libs}/*", "-d", classes, *sources], check=True)
    except subprocess.CalledProcessError as error:
        raise NoJdk(f"Kafka Streams could not be built, and needs a JDK of version 17 or later: {error}") from error
    return java


def jdk(tool: str) -> str:
    """Raises NoJdk."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(tool, path=f"{home}/bin") if home else shutil.which(tool)
    if found is None:
        raise NoJdk(
            f"Kafka Streams needs a JDK of version 17 or later, and there is no {tool} in JAVA_HOME or on the PATH"
        )
    return found
