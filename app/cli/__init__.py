"""`iopt`: one file per noun. It is imported when the noun is named, so that `iopt --help` is quick."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from app.cli.invocation import Invocation

NOUNS = {
    "worker": "Run a worker.",
    "demo": "Play a shop's orders through the saga, on a Kafka of its own.",
    "saga": "List, show and start sagas.",
    "breaker": "Show circuit breakers, change them by hand, watch their events.",
    "what-if": "Try settings of breakers on calls that were recorded.",
    "dlq": "List, show and replay dead letters.",
    "offsets": "Show where every task stands, and accept positions that were changed or lost.",
    "topics": "Create own topics, and compare them with what is wanted.",
    "config": "Show the settings, and list what can be set.",
}


class Nouns(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in NOUNS:
            return None
        name = cmd_name.replace("-", "_")
        found: click.Command = getattr(import_module(f"app.cli.{name}"), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(NOUNS.items()))


@click.group(cls=Nouns, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings; else ./application.yml if there is one. The environment wins over it.",
)
@click.pass_context
def main(ctx: click.Context, file: Path | None) -> None:
    """Sagas, circuit breakers and dead letters over Kafka, exactly once.

    Exit codes: 0 done, 1 refused, 2 wrong usage; of a worker also 3 (another worker has its instance id)
    and 4 (stopped for an error: start it again).
    """
    ctx.obj = Invocation(file)
