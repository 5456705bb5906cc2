"""What every start of the broker needs and is made only once: jars, a formatted log folder, a class data archive."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import NamedTuple

from deploy.kafka import ports
from deploy.kafka.errors import NoKafka
from deploy.kafka.jars import fetch_jars
from deploy.kafka.java import Java, find_java
from deploy.kafka.say import say

HERE = Path(__file__).parent
CLUSTER_ID = "aW9wdC1sb2NhbC1rYWZrYQ"
MEASURING_MB = 512
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:ReservedCodeCacheSize=32m")


class NotPrepared(NoKafka):
    pass


class Release(NamedTuple):
    """Which Kafka: the list of its jars, and the features that a log folder is formatted with."""

    jars: str
    formatted: str
    features: tuple[str, ...] = ()

    @property
    def sums(self) -> Path:
        return HERE / f"{self.jars}.sha256"


KAFKA_4 = Release("jars", "formatted")
KAFKA_4_TRANSACTIONS_1 = Release("jars", "formatted-transactions-1", ("transaction.version=1",))
KAFKA_3 = Release("jars-3.9", "formatted-3.9")


class Kit(NamedTuple):
    """`formatted` is a log folder to copy. `base` is the JVM's own class archive, None where it brings one."""

    java: Java
    jars: tuple[Path, ...]
    formatted: Path
    archive: Path
    base: Path | None

    def archives(self) -> str:
        return os.pathsep.join(map(str, filter(None, (self.base, self.archive))))

    def command(self, heap: str, *options: str) -> list[str]:
        """From 512m on the heap is for measuring: the whole compiler, the JVM's own collector. Less starts quickly."""
        quick = () if megabytes(heap) >= MEASURING_MB else QUICK
        logs = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
        classpath = os.pathsep.join(map(str, self.jars))
        return [str(self.java.path), *quick, "-Xms32m", f"-Xmx{heap}", "-Xss512k", logs, *options, "-cp", classpath]


def megabytes(heap: str) -> int:
    """Of a heap spelled as for -Xmx, in m or g."""
    number, unit = heap[:-1], heap[-1:].lower()
    if unit not in ("m", "g") or not number.isdigit():
        raise ValueError(f"heap={heap!r}: expected a number with m or g, as in 256m")
    return int(number) * (1024 if unit == "g" else 1)


def cache_directory() -> Path:
    """IOPT_VAR moves it out of the repository."""
    return Path(os.environ.get("IOPT_VAR") or HERE.parents[1] / "var").resolve() / "kafka"


def prepare(release: Release = KAFKA_4) -> Kit:
    """Takes half a minute once and next to nothing after that; who comes second waits for the first."""
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "lock"):
        java = find_java(os.environ)
        jars = fetch_jars(cache / release.jars, release.sums)
        mark = stamp(java, jars, release)
        base = None if java.has_archive else cache / f"base-{mark}.jsa"
        kit = Kit(java, tuple(jars), cache / release.formatted, cache / f"classes-{mark}.jsa", base)
        if base and not base.exists():
            run([str(java.path), "-Xshare:dump", f"-XX:SharedArchiveFile={base}"])
        if not kit.formatted.exists():
            make_formatted(kit, release.features)
        return kit


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def stamp(java: Java, jars: list[Path], release: Release) -> str:
    holds_for = f"{java.path}\n{java.version}\n{jars[0].parent}\n{release.sums.read_text()}"
    return hashlib.sha256(holds_for.encode()).hexdigest()[:12]


def write_properties(
    directory: Path, port: int, controller_port: int, others: Mapping[str, str] = MappingProxyType({})
) -> Path:
    """`others` win over those of the template."""
    template = Template((HERE / "server.properties").read_text())
    text = template.substitute(port=port, controller_port=controller_port, logs=directory / "logs")
    path = directory / "server.properties"
    path.write_text(text + "".join(f"{name}={value}\n" for name, value in others.items()))
    return path


def make_formatted(kit: Kit, features: Iterable[str]) -> None:
    """Formatting takes a JVM and a second: the two small files that it leaves are copied from then on."""
    say("Kafka: formatting a log folder, once")
    with tempfile.TemporaryDirectory(dir=kit.formatted.parent) as scratch:
        port, controller_port = ports.free(2)
        properties = write_properties(Path(scratch), port, controller_port)
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config", str(properties)]
        tool += [argument for feature in features for argument in ("--feature", feature)]
        run([*kit.command("96m"), *tool])
        shutil.move(Path(scratch, "logs"), kit.formatted)


def run(command: list[str]) -> None:
    """Raises NotPrepared with all that it said."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise NotPrepared(f"{command[-3:]} ended with {done.returncode}:\n{done.stdout}")
