"""The client as others install it: its wheel, in an environment that has msgspec and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CALLS = """
import asyncio, importlib, pkgutil, sys
import iopt_client
from iopt_client import BulkheadFull, NotPermitted, Resilience

for module in pkgutil.walk_packages(iopt_client.__path__, "iopt_client."):
    importlib.import_module(module.name)

resilience = Resilience({"resilience4j": {
    "retry": {"instances": {"pay": {"waitDuration": 0}}},
    "ratelimiter": {"instances": {"pay": {"limitForPeriod": 1000}}},
    "timelimiter": {"configs": {"default": {"timeoutDuration": "60s"}}},
    "bulkhead": {"instances": {"default": {"maxConcurrentCalls": 1}}},
}})
left = [1, 2]

def charge(amount):
    if left:
        raise ConnectionError(left.pop())
    return amount

@resilience("pay", fallback={NotPermitted: lambda error, amount: -amount})
async def charge_later(amount):
    return charge(amount)

async def while_full():
    async with resilience("pay"):
        return await charge_later(2)

assert resilience.call("pay", charge, 5) == 5
assert asyncio.run(charge_later(amount=7)) == 7
assert asyncio.run(while_full()) == -2
print(sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)))
"""


def run(*command: str | Path) -> str:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, cwd=ROOT.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "--python", sys.executable, folder / "venv")
    run(uv, "pip", "install", "--python", folder / "venv", wheel)
    return folder / "venv" / "bin" / "python"


def test_the_wheel_needs_msgspec_alone(python):
    loaded = run(python, "-I", "-c", CALLS)
    assert set(eval(loaded)) <= {"__main__", "_virtualenv", "iopt_client", "msgspec"}


def test_the_wheel_says_that_it_is_typed(python):
    where = run(python, "-I", "-c", "import iopt_client; print(iopt_client.__path__[0])").strip()
    assert (Path(where) / "py.typed").exists()
