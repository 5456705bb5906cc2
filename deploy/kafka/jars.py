"""Kafka's jars: fetched from Maven Central by jgo, and used only if their sums are those committed beside this file."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from deploy.kafka.errors import NoKafka
from deploy.kafka.say import Progress

SUMS = Path(__file__).with_name("jars.sha256")
UNCHANGING_TIME = (0, 0)  # a class data archive holds only for jars of the same times


class WrongJar(NoKafka):
    pass


class NotFetched(NoKafka):
    pass


class Jar(NamedTuple):
    """`repository_path` is `group/as/folders/artifact/version/artifact-version.jar`, as in every Maven repository."""

    sha256: str
    repository_path: str

    @property
    def name(self) -> str:
        return self.repository_path.rsplit("/", 1)[1]

    @property
    def coordinate(self) -> str:
        *group, artifact, version, _name = self.repository_path.split("/")
        return f"{'.'.join(group)}:{artifact}:{version}"


def listed(sums: Path = SUMS) -> list[Jar]:
    """Lines as `sha256sum` writes them."""
    return [Jar(*line.split()) for line in sums.read_text().splitlines() if line]


def fetch_jars(directory: Path, sums: Path = SUMS) -> list[Path]:
    """All jars, in the order of the list; what is missing in `directory` is fetched. Raises WrongJar."""
    jars = listed(sums)
    missing = [jar for jar in jars if not (directory / jar.name).exists()]
    if missing:
        download(missing, directory)
    for jar in jars:
        check(directory / jar.name, jar)
    return [directory / jar.name for jar in jars]


def download(jars: list[Jar], directory: Path) -> None:
    """A jar comes into `directory` whole and checked, or not at all."""
    from jgo.maven import MavenContext  # noqa: PLC0415 - imports for half a second, needed once

    directory.mkdir(parents=True, exist_ok=True)
    staging = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    maven = MavenContext(repo_cache=staging, timeout=60)
    with Progress("Kafka's jars from Maven Central", len(jars)) as progress:
        for jar in jars:
            progress.step(jar.name)
            try:
                fetched = maven.create_dependency(jar.coordinate).artifact.resolve()
            except (OSError, RuntimeError) as error:
                raise NotFetched(f"{jar.coordinate} cannot be fetched from Maven Central: {error}") from error
            check(fetched, jar)
            os.utime(fetched, UNCHANGING_TIME)
            fetched.replace(directory / jar.name)
    shutil.rmtree(staging)


def check(path: Path, jar: Jar) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != jar.sha256:
        raise WrongJar(f"{path}: SHA-256 {found}, expected {jar.sha256} ({SUMS.name}); delete it to fetch it again")
