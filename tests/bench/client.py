"""`python -m tests.bench.client [--rounds N] [--python PATH]`: what a guarded call costs: docs/benchmarks-client.md."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

import msgspec

from tests.bench.peers import NoPeer
from tests.bench.say import say
from tests.support.page import cpu_model

ROOT = Path(__file__).resolve().parents[2]
WORK, PAGE = ROOT / "var" / "bench" / "client", ROOT / "docs" / "benchmarks-client.md"
PEERS = ("stamina==26.1.0", "tenacity==9.2.1", "purgatory==3.0.1", "pybreaker==1.4.1", "msgspec>=0.22,<0.23")
HEAD = """\
# What a guarded call costs

us of CPU time that a successful call takes more than the plain call, made by `python -m tests.bench.client`: the median
of the rounds, in brackets the least and the most. Rounds of all contenders in turn, in one process; each call returns
at once. A time limiter of a plain function hands it to a thread and waits for it, which takes longer than it costs.
"""


class Told(msgspec.Struct):
    rounds: dict[str, dict[str, list[float]]]
    versions: dict[str, str]
    python: str


def install(python: str) -> str:
    """In an environment of its own. Returns its Python. Raises NoPeer."""
    uv, own = Path(sys.executable).with_name("uv"), WORK / "bin" / "python"
    try:
        subprocess.run([uv, "venv", "-q", "--clear", "--python", python, WORK], check=True)
        subprocess.run([uv, "pip", "install", "-q", "-p", own, *PEERS], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(WORK, ignore_errors=True)
        raise NoPeer(f"{', '.join(PEERS)} could not be installed with uv: {error}") from error
    return str(own)


def measured(python: str, rounds: int) -> Told:
    command = [python, "-m", "tests.bench.client_peer", str(rounds)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(done.stdout, type=Told)


def page(told: Told, load: tuple[float, float]) -> str:
    lines = [HEAD]
    for form, of in told.rounds.items():
        plain = of.pop("plain")
        lines += [f"| `{form}` | us |", "|---|---:|"]
        lines += [f"| {name} | {spread(us)} |" for name, us in of.items()]
        lines += [f"| (the plain call) | {spread(plain)} |", ""]
    packages = ", ".join(f"{name} {number}" for name, number in told.versions.items())
    lines += [
        f"{len(plain)} rounds on {cpu_model()}, {os.cpu_count()} cores, load average {load[0]:.1f} before and "
        f"{load[1]:.1f} after. Python {told.python}; {packages}.",
        "",
    ]
    return "\n".join(lines)


def spread(us: list[float]) -> str:
    return f"{median(us):.2f} ({min(us):.2f} to {max(us):.2f})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.client", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--python", default=sys.executable, help="the interpreter to measure with")
    given = parser.parse_args()
    try:
        python = install(given.python)
    except NoPeer as error:
        say(str(error))
        return 1
    before = os.getloadavg()[0]
    text = page(measured(python, given.rounds), (before, os.getloadavg()[0]))
    sys.stdout.write(text)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
