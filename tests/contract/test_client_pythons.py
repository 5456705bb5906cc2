"""The client's own tests, on each Python here that it is said to run on, against its wheel and msgspec alone."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
BEYOND = ("app.wire", "ruamel", "app.client.kafka", "transport_suite")  # what tests name that need more than that
PROJECT = tomllib.loads((ROOT / "deploy/client/pyproject.toml").read_text())["project"]
SAID = [found[1] for each in PROJECT["classifiers"] if (found := re.search(r":: (3\.\d+)$", each))]
NAMES = """
import importlib, pkgutil, sys
import iopt_client

for module in pkgutil.walk_packages(iopt_client.__path__, "iopt_client."):
    sys.modules["app." + module.name.partition(".")[2]] = importlib.import_module(module.name)
client, domain = sys.modules["app.client"], sys.modules["app.domain"]
"""
RUNNING = "{}.{}".format(*sys.version_info)
SETTINGS = """
[pytest]
addopts = --import-mode=importlib -p no:cacheprovider
pythonpath = .
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
timeout = 120
"""


def interpreter(version: str) -> str | None:
    """The one that runs this, of pyenv, or on the PATH; None where there is none."""
    if version == RUNNING:
        return sys.executable
    of_pyenv = sorted(map(str, PYENV.glob(f"{version}.*/bin/python")))
    return of_pyenv[-1] if of_pyenv else shutil.which(f"python{version}")


PYTHONS = {version: found for version in SAID if (found := interpreter(version))}


def run(*command: str | Path, cwd: Path) -> str:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=cwd, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", PYTHONS)
def test_the_clients_tests_pass_on_each_python_that_is_named_and_here(version, wheel, tmp_path):
    uv, python = Path(sys.executable).with_name("uv"), tmp_path / "venv" / "bin" / "python"
    run(uv, "venv", "--python", PYTHONS[version], tmp_path / "venv", cwd=tmp_path)
    run(uv, "pip", "install", "-p", python, wheel, "pytest", "pytest-asyncio", "pytest-timeout", cwd=tmp_path)
    for part in ("support", "resilience4j"):
        shutil.copytree(ROOT / "tests" / part, tmp_path / "tests" / part)
    (tmp_path / "tests" / "unit").mkdir()
    for test in (ROOT / "tests" / "unit").glob("test_client_*.py"):
        if not any(name in test.read_text() for name in BEYOND):
            shutil.copy(test, tmp_path / "tests" / "unit")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text(NAMES)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    assert re.search(r"\d{3,} passed", run(python, "-m", "pytest", "-q", "tests/unit", cwd=tmp_path))


def test_the_running_python_is_tried_and_each_that_is_not_here_is_warned_of():
    for version in SAID:
        if version not in PYTHONS:
            warnings.warn(f"no Python {version} on this machine: the client was NOT tried on it", stacklevel=1)
    assert PYTHONS
    assert RUNNING in PYTHONS or RUNNING not in SAID


def test_no_other_python_is_admitted():
    assert PROJECT["requires-python"] == f">={SAID[0]},<3.{int(SAID[-1].partition('.')[2]) + 1}"
