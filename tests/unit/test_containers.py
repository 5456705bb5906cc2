"""The Dockerfile and the compose file, as far as they can be checked without Docker."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from app.cli import main
from app.config import load
from deploy.demo.shop import PARTITIONS, THEIRS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
PINNED = re.compile(r":v?\d+\.\d+\.\d+(-[a-z0-9-]+)?$")
COMPOSE: dict[str, Any] = YAML(typ="safe").load(DEPLOY / "compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]


def images() -> list[str]:
    return [service["image"] for service in SERVICES.values()] + re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("image", images())
def test_an_image_is_pinned_and_has_glibc(image: str) -> None:
    assert PINNED.search(image), image
    assert "alpine" not in image


def test_the_kafka_is_the_one_that_the_tests_run() -> None:
    jars = (DEPLOY / "kafka" / "jars.sha256").read_text()
    version = re.search(r"/kafka_2\.13-([\d.]+)\.jar", jars)
    assert version is not None
    assert {SERVICES[name]["image"] for name in ("kafka", "topics")} == {f"apache/kafka:{version[1]}"}


def test_what_is_copied_into_the_image_exists_and_is_not_ignored() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert names == let_through
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_image_holds_every_package_and_runs_the_projects_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert f"COPY {package} {package}\n" in DOCKERFILE
    entry = re.search(r'ENTRYPOINT \["(\w+)"\]', DOCKERFILE)
    assert entry is not None
    assert entry[1] in project["project"]["scripts"]
    assert SERVICES["service"]["image"] == f"iopt:{project['project']['version']}"


def test_the_service_is_started_as_the_command_line_wants_it() -> None:
    asked = CliRunner().invoke(main, [*SERVICES["service"]["command"], "--help"])
    assert "Run a worker" in asked.output
    assert asked.exit_code == 0


def test_mounted_paths_exist_and_named_volumes_are_declared() -> None:
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert [path for path in mounted if path.startswith(".") and not (DEPLOY / path).exists()] == []
    assert {name for name in mounted if not name.startswith(".")} == set(COMPOSE["volumes"])


def test_services_wait_for_services_that_exist() -> None:
    waited_for = {name for service in SERVICES.values() for name in service.get("depends_on", {})}
    assert waited_for <= set(SERVICES)


def test_ports_are_published_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len(published) == len(set(published))


def test_the_service_has_its_settings_its_topics_and_its_port() -> None:
    command = SERVICES["service"]["command"]
    settings = load(ROOT / command[command.index("--config") + 1], {})
    assert f"127.0.0.1:{settings.port}:{settings.port}" in SERVICES["service"]["ports"]
    assert f"EXPOSE {settings.port}\n" in DOCKERFILE
    assert SERVICES["topics"]["environment"]["TOPICS"].split() == list(THEIRS)
    assert f"--partitions {PARTITIONS} " in SERVICES["topics"]["command"][0]


def test_prometheus_scrapes_the_service_by_its_name() -> None:
    scrape = YAML(typ="safe").load(COMPOSE["configs"]["scrape"]["content"])["scrape_configs"][0]
    assert scrape["static_configs"][0]["targets"] == ["service:8104"]
