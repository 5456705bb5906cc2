"""`iopt demo`: real order events become sagas on a real Kafka, from nothing."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from app.cli.invocation import Invocation, json_option, settled

CHECKOUT = Path(__file__).resolve().parents[2]


@click.command()
@click.option("--orders", type=click.IntRange(10, 999_999), default=2_000, show_default=True, help="How many.")
@click.option("--kill", type=click.IntRange(0, 20), default=0, show_default=True, help="Times to kill -9 the worker.")
@click.option("--seed", type=int, default=7, show_default=True, help="Of orders, whims of the services, and kills.")
@click.option("--keep", is_flag=True, help="Leave Kafka's data, logs and books behind.")
@json_option
@settled
def demo(invocation: Invocation, orders: int, kill: int, seed: int, keep: bool) -> None:
    """Play a shop's orders through the saga, and check its books at the end.

    Starts Kafka (or uses the one that IOPT_KAFKA names), a worker and three simulated services. Exit
    code 0 only if every order ended as it should.
    """
    for path in (CHECKOUT, Path.cwd()):
        if (path / "deploy" / "demo" / "run.py").exists():
            sys.path.insert(0, str(path))
            run = importlib.import_module("deploy.demo.run").run
            raise SystemExit(run(orders, kill, seed, keep=keep, json=invocation.as_json))
    raise click.ClickException(
        f"deploy/demo is neither in {CHECKOUT} nor in {Path.cwd()}: it comes with the repository, not with the package"
    )
