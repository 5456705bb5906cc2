"""`iopt config`"""

from __future__ import annotations

import click

from app.cli.invocation import Invocation, json_option, settled
from app.cli.output import put_json, put_rows


@click.group()
def config() -> None:
    """Show the settings, and list what can be set."""


@config.command()
@json_option
@settled
def show(invocation: Invocation) -> None:
    """What is set, and where; later sources have won already."""
    from app.config.keys import Effect

    rows = [
        {
            "name": value.name,
            "value": value.shown,
            "origin": value.origin,
            "has_effect": value.key.effect is Effect.USED,
        }
        for value in sorted(invocation.settings.values(), key=lambda value: value.name)
    ]
    if invocation.as_json:
        put_json(rows)
    else:
        columns = {"name": "SETTING", "value": "VALUE", "origin": "FROM", "has_effect": "EFFECT"}
        put_rows(rows, columns, "nothing is set: everything has its default (iopt config list)")


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
