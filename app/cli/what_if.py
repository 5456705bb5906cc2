"""`iopt what-if`: calls that were made, under settings that are not in use yet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import click

from app.cli.invocation import Invocation, json_option, settled
from app.cli.output import put_rows

COLUMNS = {
    "breaker": "BREAKER",
    "state": "STATE",
    "calls": "CALLS",
    "good_rejected": "GOOD REJECTED",
    "bad_rejected": "BAD REJECTED",
    "bad_permitted": "BAD PERMITTED",
    "opened": "OPENED",
    "open_ms": "OPEN MS",
}


@click.group("what-if")
def what_if() -> None:
    """Try settings on what was recorded."""


@what_if.command()
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The settings to be tried; else those that iopt has.",
)
@click.option(
    "--outcomes",
    "recorded",
    type=click.File("rb"),
    required=True,
    help="A call outcome (contract 4.1) on each line, with `at`; - for stdin.",
)
@click.option("--breaker", "only", help="Only this one; else all that the settings ask for.")
@click.option("--skip-bad", is_flag=True, help="Count lines that cannot be used instead of refusing them.")
@json_option
@settled
def breaker(
    invocation: Invocation, file: Path | None, recorded: IO[bytes], only: str | None, *, skip_bad: bool
) -> None:
    """When breakers would have opened: every change of state as JSON on a line, then what that would have meant.

    Each call asks for permission as a client would, in the time of the recording. The summary is a table on standard
    error, with --json the last line of the output.
    """
    from app.cli.trial import Trial

    settings = Invocation(file).settings if file else invocation.settings
    trial = Trial(settings, only)
    for change in trial.play(recorded, skip_bad=skip_bad):
        click.echo(change)
    if only is not None and not trial.summary():
        raise click.ClickException(f"none of those calls is one of {only}")
    told = {"summary": trial.summary(), "not_tried": trial.not_tried, "bad_lines": trial.bad_lines}
    if invocation.as_json:
        click.echo(json.dumps(told))
        return
    put_rows(trial.summary(), COLUMNS, "no calls", to_stderr=True)
    click.echo(
        "not tried, since they were not permitted: {not_tried}; bad lines: {bad_lines}".format_map(told), err=True
    )
