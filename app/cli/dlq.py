"""`iopt dlq`"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from app.cli.invocation import Invocation, json_option, settled
from app.cli.output import Bar, instant, put_fields, put_json, put_rows, visible

if TYPE_CHECKING:
    from app.cli.letters import Letter
    from app.cli.replay import Plan
    from app.engine.broker.admin import Admin

GROUPS = {
    "source": "SOURCE",
    "reason": "REASON",
    "letters": "LETTERS",
    "replayed": "REPLAYED",
    "oldest": "OLDEST",
    "newest": "NEWEST",
}
LETTERS = {
    "place": "DEAD LETTER",
    "key": "KEY",
    "reason": "REASON",
    "failed": "FAILED",
    "attempts": "ATTEMPTS",
    "replayed": "REPLAYED",
    "message": "MESSAGE",
}
SHOWN = 120


class Place(NamedTuple):
    topic: str
    partition: int
    offset: int


@click.group()
def dlq() -> None:
    """List, show and replay dead letters."""


@dlq.command("list")
@click.argument("topic", required=False)
@click.option("--reason", help="Only of this reason, as undecodable or bug.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
@json_option
@settled
def list_(invocation: Invocation, topic: str | None, reason: str | None, limit: int) -> None:
    """Numbers by source and reason; with TOPIC (a source, or its dead-letter topic) the letters themselves."""

    async def read(admin: Admin) -> tuple[list[Letter], set[str]]:
        from app.cli.letters import PREFIX, dlq_topic, replayed
        from app.cli.replay import oldest_ms

        topics = [dlq_topic(topic)] if topic else [name for name in await admin.topics() if name.startswith(PREFIX)]
        found = [letter for name in sorted(topics) for letter in await _read(admin, name, reason)]
        return found, await replayed(admin, oldest_ms(found))

    found, marked = invocation.kafka(read)
    rows = [_row(letter, marked) for letter in found[-limit:]] if topic else _groups(found, marked)
    if invocation.as_json:
        put_json(rows)
    elif topic:
        cut = [{**row, "failed": instant(row["failed_at"]), "message": row["message"][:SHOWN]} for row in rows]
        put_rows(cut, LETTERS, "no such dead letters")
    else:
        told = [{**row, "oldest": instant(row["oldest_at"]), "newest": instant(row["newest_at"])} for row in rows]
        put_rows(told, GROUPS, "no dead letters")


async def _read(admin: Admin, topic: str, reason: str | None = None) -> list[Letter]:
    from app.cli.letters import letters

    found = []
    with Bar(f"reading {topic}", await admin.count(topic)) as bar:
        async for letter in letters(admin, topic):
            bar.advance()
            if reason in (None, letter.said.reason):
                found.append(letter)
    return sorted(found, key=lambda letter: (letter.raw.timestamp_ms, letter.raw.partition, letter.raw.offset))


def _row(letter: Letter, marked: set[str]) -> dict[str, Any]:
    said = letter.said
    return {
        "place": letter.place,
        "source": f"{said.topic}/{said.partition}/{said.offset}",
        "key": _text(letter.raw.key),
        "stage": said.stage,
        "reason": said.reason,
        "error": said.error,
        "message": said.message,
        "attempts": said.attempts,
        "first_failed_at": said.first_failed_at,
        "failed_at": said.failed_at,
        "replayed": letter.place in marked,
        "replay_of": said.replay_of or None,
    }


def _groups(found: list[Letter], marked: set[str]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str], list[Letter]] = {}
    for letter in found:
        groups.setdefault((letter.raw.topic.removeprefix("iopt.dlq."), letter.said.reason), []).append(letter)
    return [
        {
            "source": source,
            "reason": reason,
            "letters": len(of),
            "replayed": sum(letter.place in marked for letter in of),
            "oldest_at": of[0].raw.timestamp_ms,
            "newest_at": of[-1].raw.timestamp_ms,
        }
        for (source, reason), of in sorted(groups.items())
    ]


@dlq.command()
@click.argument("place")
@json_option
@settled
def show(invocation: Invocation, place: str) -> None:
    """One dead letter whole. PLACE is TOPIC/PARTITION/OFFSET, as `iopt dlq list TOPIC` names it."""
    at = _place(place)

    async def read(admin: Admin) -> tuple[Letter, set[str]]:
        from app.cli.letters import replayed

        letter = await _found(admin, at)
        return letter, await replayed(admin, letter.raw.timestamp_ms)

    letter, marked = invocation.kafka(read)
    headers = {name: _text(value) for name, value in letter.said.headers}
    whole = {
        **_row(letter, marked),
        "group": letter.said.group,
        "processor": letter.said.processor,
        "version": letter.said.version,
        "trace": letter.said.trace or None,
        "timestamp_at": letter.said.timestamp,
        "kept": letter.said.reference is None,
        "stack": letter.said.stack,
        "headers": headers,
        "value": _text(letter.raw.value),
    }
    if invocation.as_json:
        put_json(whole)
        return
    apart = ("stack", "headers", "value")
    put_fields({name: instant(v) if name.endswith("_at") else v for name, v in whole.items() if name not in apart})
    _put_part("headers", "\n".join(f"{name}: {value}" for name, value in headers.items()))
    _put_part("value", _indented(whole["value"]))
    _put_part("stack", whole["stack"])


def _put_part(title: str, text: str) -> None:
    if text:
        click.echo(f"\n{title}\n" + "\n".join(f"  {visible(line)}" for line in text.splitlines()))


def _text(raw: bytes | None) -> str | None:
    """What is no UTF-8 as `\\x..`."""
    return None if raw is None else raw.decode(errors="backslashreplace")


def _indented(text: str | None) -> str:
    try:
        return json.dumps(json.loads(text or "", parse_float=str, parse_int=str), indent=2, ensure_ascii=False)
    except ValueError:
        return text or ""


async def _found(admin: Admin, place: Place) -> Letter:
    """Raises ClickException where nothing is."""
    from app.cli.letters import dlq_topic, letter_at

    topic, number, offset = place
    letter = await letter_at(admin, dlq_topic(topic), number, offset)
    if letter is None:
        raise click.ClickException(f"there is no dead letter at {dlq_topic(topic)}/{number}/{offset}")
    return letter


def _place(text: str) -> Place:
    """Raises BadParameter."""
    parts = text.split("/")
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):  # noqa: PLR2004
        raise click.BadParameter(f"{text!r}: expected TOPIC/PARTITION/OFFSET, as orders/0/7", param_hint="PLACE")
    return Place(parts[0], int(parts[1]), int(parts[2]))


@dlq.command()
@click.argument("what")
@click.option("--reason", help="With a TOPIC: all of it that have this reason.")
@click.option("--apply", is_flag=True, help="Do it; without, it is only told what would be done.")
@click.option("--rate", type=click.IntRange(1), default=100, show_default=True, help="Records a second.")
@json_option
@settled
def replay(invocation: Invocation, what: str, reason: str | None, apply: bool, rate: int) -> None:
    """Send dead letters to their topics and partitions again: each once, even if this is killed and run again.

    WHAT is one letter (TOPIC/PARTITION/OFFSET), or a TOPIC together with --reason.
    """
    if ("/" in what) == (reason is not None):
        raise click.UsageError("WHAT: expected TOPIC/PARTITION/OFFSET, or TOPIC and --reason")
    at = _place(what) if reason is None else None

    async def work(admin: Admin) -> Plan:
        from app.cli.letters import dlq_topic, replayed
        from app.cli.replay import oldest_ms, plan
        from app.cli.replay import replay as carry_out
        from app.wire.topics import AUDIT

        found = [await _found(admin, at)] if at else await _read(admin, dlq_topic(what), reason)
        if not apply or not found:
            return plan(found, await replayed(admin, oldest_ms(found)), await admin.topics())
        if AUDIT.name not in await admin.topics():
            await admin.create({AUDIT: invocation.settings.partitions}, invocation.settings.replication_factor)
        with Bar("replaying", len(found)) as bar:
            return await carry_out(admin, found, rate, invocation.settings.source, bar.advance)

    _tell(invocation, invocation.kafka(work), applied=apply)


def _tell(invocation: Invocation, made: Plan, *, applied: bool) -> None:
    targets = Counter(f"{letter.said.topic}/{letter.said.partition}" for letter in made.wanted)
    if invocation.as_json:
        put_json(
            {
                "applied": applied,
                "replayed" if applied else "would_replay": [letter.place for letter in made.wanted],
                "replayed_before": len(made.before),
                "refused": [{"place": letter.place, "why": why} for letter, why in made.refused],
            }
        )
    else:
        for target, count in sorted(targets.items()):
            click.echo(f"{'replayed' if applied else 'would replay'} {count} to {target}")
        if made.before:
            click.echo(f"replayed before: {len(made.before)}")
        for letter, why in made.refused:
            click.echo(f"refused {letter.place}: {why}", err=True)
        if not (made.wanted or made.before or made.refused):
            click.echo("no such dead letters")
        elif made.wanted and not applied:
            click.echo("nothing was sent: add --apply")
    if made.refused:
        raise SystemExit(1)
