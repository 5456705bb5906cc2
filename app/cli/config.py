"""`iopt config`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.invocation import Invocation, json_option, settled
from app.cli.output import put_json, put_rows

if TYPE_CHECKING:
    from app.config import Problem


@click.group()
def config() -> None:
    """Check and show the settings, and list what can be set."""


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@json_option
@settled
def check(invocation: Invocation, file: Path | None) -> None:
    """All that is wrong with FILE, or with the settings as they are; 1 if anything is.

    The environment counts, as it does for a worker: its profiles, and what it sets over the file.
    """
    from app.config import SettingsRefused, load

    problems: tuple[Problem, ...] = ()
    try:
        warnings = load(file or invocation.file).notices
    except SettingsRefused as refused:
        problems, warnings = refused.problems, refused.notices
    if invocation.as_json:
        put_json({"problems": [_told(problem) for problem in problems], "warnings": list(warnings)})
    else:
        for problem in problems:
            click.echo(problem)
        for warning in warnings:
            click.echo(f"warning: {warning}")
        click.echo(f"{len(problems)} problems, {len(warnings)} warnings")
    raise SystemExit(bool(problems))


def _told(problem: Problem) -> dict[str, str | None]:
    return {
        "where": problem.where,
        "setting": problem.field or None,
        "message": problem.message,
        "expected": problem.expected or None,
    }


@config.command()
@click.argument("prefix", default="")
@json_option
@settled
def show(invocation: Invocation, prefix: str) -> None:
    """What counts, of the settings that begin with PREFIX, and where it was said: file and line, variable, default."""
    from app.config.keys import Effect
    from app.config.units import uniform

    rows = [
        {
            "name": value.name,
            "value": value.shown,
            "origin": value.origin,
            "has_effect": value.key.effect is Effect.USED,
        }
        for value in sorted(invocation.settings.effective(), key=lambda value: value.name)
        if uniform(value.name).startswith(uniform(prefix))
    ]
    if invocation.as_json:
        put_json(rows)
    else:
        columns = {"name": "SETTING", "value": "VALUE", "origin": "FROM", "has_effect": "EFFECT"}
        put_rows(rows, columns, f"no setting begins with {prefix} (iopt config list)")


@config.command("list")
@json_option
@settled
def list_(invocation: Invocation) -> None:
    """Every setting: what it may be, its default and its meaning. `*` stands for a name of yours."""
    from app.config.catalogue import CATALOGUE
    from app.config.keys import Effect

    rows = [
        {"name": key.name, "default": key.default, "expected": key.kind.expected, "meaning": key.meaning}
        for key in CATALOGUE
        if key.effect is Effect.USED
    ]
    if invocation.as_json:
        put_json(rows)
    else:
        put_rows(rows, {"name": "SETTING", "default": "DEFAULT", "meaning": "MEANING"}, "")
