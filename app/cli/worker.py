"""`iopt worker`"""

from __future__ import annotations

import signal
from functools import partial

import click

from app.cli.invocation import Invocation, settled


@click.command()
@click.option("--leave", is_flag=True, help="Leave the group at the end, instead of coming back within the session.")
@settled
def worker(invocation: Invocation, leave: bool) -> None:
    """Run a worker until SIGTERM. On SIGHUP it reads its settings anew.

    Only exit code 4 and death by a signal are to be followed by a restart.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # until the worker hears it
    from app.config import chosen, load

    file = chosen(invocation.file)
    settings = invocation.settings
    from app.worker import run

    raise SystemExit(run(settings, partial(load, file), leave=leave))
