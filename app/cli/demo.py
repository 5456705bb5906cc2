"""`iopt demo`: real order events become sagas on a real Kafka, from nothing; and breakers over three callers."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from app.cli.invocation import Invocation, json_option, settled

CHECKOUT = Path(__file__).resolve().parents[2]

keep_option = click.option("--keep", is_flag=True, help="Leave Kafka's data and all logs behind.")


@click.group(invoke_without_command=True)
@click.option("--orders", type=click.IntRange(10, 999_999), default=2_000, show_default=True, help="How many.")
@click.option("--kill", type=click.IntRange(0, 20), default=0, show_default=True, help="Times to kill -9 the worker.")
@click.option("--seed", type=int, default=7, show_default=True, help="Of orders, whims of the services, and kills.")
@keep_option
@json_option
@settled
def demo(invocation: Invocation, orders: int, kill: int, seed: int, keep: bool) -> None:
    """Play a shop's orders through the saga, and check its books at the end.

    Starts Kafka (or uses the one that IOPT_KAFKA names), a worker and three simulated services. Exit
    code 0 only if every order ended as it should.
    """
    if click.get_current_context().invoked_subcommand is None:
        raise SystemExit(_played("deploy.demo.run")(orders, kill, seed, keep=keep, json=invocation.as_json))


@demo.command()
@click.option("--kill", is_flag=True, help="Kill -9 the worker while the breaker is open.")
@keep_option
@json_option
@settled
def breakers(invocation: Invocation, kill: bool, keep: bool) -> None:
    """Let a service fail under three callers, and see their one breaker open, try and close.

    Starts Kafka (or uses the one that IOPT_KAFKA names), a worker and three services with the client library. Exit
    code 0 only if they stopped and went on together.
    """
    raise SystemExit(_played("deploy.demo.breakers.run")(kill, keep=keep, json=invocation.as_json))


def _played(module: str) -> Any:
    for path in (CHECKOUT, Path.cwd()):
        if (path / "deploy" / "demo" / "run.py").exists():
            sys.path.insert(0, str(path))
            return importlib.import_module(module).run
    raise click.ClickException(
        f"deploy/demo is neither in {CHECKOUT} nor in {Path.cwd()}: it comes with the repository, not with the package"
    )
