from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's, as it is published."""
    folder = tmp_path_factory.mktemp("client")
    uv = Path(sys.executable).with_name("uv")
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run([uv, "build", "--wheel", ROOT / "deploy/client", "--out-dir", folder], env=env, check=True)
    (built,) = folder.glob("*.whl")
    return built
