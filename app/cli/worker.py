"""`iopt worker`"""

from __future__ import annotations

import click

from app.cli.invocation import Invocation, settled


@click.command()
@click.option("--leave", is_flag=True, help="Leave the group at the end, instead of coming back within the session.")
@settled
def worker(invocation: Invocation, leave: bool) -> None:
    """Run a worker until SIGTERM.

    Only exit code 4 and death by a signal are to be followed by a restart.
    """
    settings = invocation.settings
    from app.worker import run

    raise SystemExit(run(settings, leave=leave))
