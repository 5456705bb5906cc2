"""Tables that pipe well, JSON, instants, and a bar for what takes longer than a second."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_S = 1.0


def put_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def put_rows(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], none: str, *, to_stderr: bool = False
) -> None:
    """`columns` are headings by field; `none` is said where there are no rows."""
    if not rows:
        click.echo(none, err=to_stderr)
        return
    texts = [list(columns.values()), *([text_of(row.get(field)) for field in columns] for row in rows)]
    widths = [max(len(line[at]) for line in texts) for at in range(len(columns))]
    for line in texts:
        click.echo(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip(), err=to_stderr
        )


def put_fields(fields: Mapping[str, Any]) -> None:
    width = max(map(len, fields))
    for name, value in fields.items():
        click.echo(f"{name.ljust(width)}  {text_of(value)}".rstrip())


def instant(at_ms: int | None) -> str:
    """As RFC 3339 in UTC."""
    if not at_ms:
        return ""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def text_of(value: Any) -> str:
    """On one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return visible(" ".join(str(value).splitlines()))


def visible(text: str) -> str:
    """Control characters as `\\x1b`: names and values come from anywhere, and would speak to the terminal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\t" else ascii(each)[1:-1] for each in text)


class Bar:
    """On a terminal's standard error, once it has taken longer than a second; else nothing."""

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total, self._done = label, total, 0
        self._since = monotonic()
        self._shown: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> Bar:
        return self

    def advance(self, by: int = 1) -> None:
        self._done += by
        if self._shown is None and monotonic() - self._since > PATIENCE_S and sys.stderr.isatty():
            self._shown = self._show()
        if self._shown is not None:
            progress, task = self._shown
            progress.update(task, completed=self._done)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown is not None:
            self._shown[0].stop()

    def _show(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        progress = Progress(*columns, console=Console(stderr=True), transient=True)
        progress.start()
        return progress, progress.add_task(self._label, total=self._total, completed=self._done)
