"""`iopt offsets`"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from app.cli.invocation import Invocation, json_option, settled
from app.cli.output import put_json, put_rows

if TYPE_CHECKING:
    from app.engine.broker.admin import Admin
    from app.engine.offsets.offsets import TaskOffsets
    from app.engine.offsets.settling import Choice, Step
    from app.engine.tasks.lane import Encoded

STANDING = {
    "task": "TASK",
    "topic": "TOPIC",
    "partition": "PARTITION",
    "group": "GROUP",
    "changelog": "CHANGELOG",
    "first": "LOG FROM",
    "end": "TO",
    "lag": "LAG",
    "trouble": "TROUBLE",
}
STEPS = {
    "task": "TASK",
    "topic": "TOPIC",
    "partition": "PARTITION",
    "group": "GROUP",
    "changelog": "CHANGELOG",
    "position": "GOES ON AT",
    "expired": "RECORDS LOST",
}
apply_option = click.option("--apply", is_flag=True, help="Do it; without, it is only told what would be done.")


@click.group()
def offsets() -> None:
    """Show where every task stands, and accept positions that were changed or lost."""


@offsets.command()
@json_option
@settled
def show(invocation: Invocation) -> None:
    """Of every task and topic the group's position, the changelog's, and the log's first and next offset.

    While workers run, the positions are of slightly different moments, and what TROUBLE says means nothing.
    """

    async def read(admin: Admin) -> list[TaskOffsets]:
        return await _look(invocation, admin)

    rows = [row for task in invocation.kafka(read) for row in _rows(task)]
    if invocation.as_json:
        put_json(rows)
    else:
        put_rows(rows, STANDING, "no task has a changelog yet: no worker has run")


async def _look(invocation: Invocation, admin: Admin) -> list[TaskOffsets]:
    from app.engine.offsets.offsets import look
    from app.engine.topology import build

    plan = invocation.plan
    return await look(admin.client, plan.group, build(plan.processors, plan.named).values())


def _rows(task: TaskOffsets) -> Iterable[dict[str, Any]]:
    for topic, found in sorted(task.sources.items()):
        yield {
            "task": found.task,
            "topic": topic,
            "partition": task.changelog.partition,
            "group": _position(found.group),
            "changelog": _position(found.changelog),
            "first": found.first,
            "end": found.end,
            "lag": task.lag[topic],
            "trouble": found.trouble,
        }


def _position(offset: int) -> int | None:
    return None if offset < 0 else offset


@offsets.command()
@apply_option
@json_option
@settled
def accept(invocation: Invocation, apply: bool) -> None:
    """Go on where the group's positions say, which somebody has set; where it has none, where the changelog says.

    Records that are skipped by it were never read, those that are read again are processed again.
    """
    from app.engine.offsets.settling import accepted

    _settle(invocation, "offsets.accept", accepted, apply=apply)


@offsets.command("accept-loss")
@apply_option
@json_option
@settled
def accept_loss(invocation: Invocation, apply: bool) -> None:
    """Go on at the log's start where retention took what was not read yet. The lost records are counted as expired."""
    from app.engine.offsets.settling import skipped

    _settle(invocation, "offsets.accept-loss", skipped, apply=apply)


def _settle(invocation: Invocation, what: str, choose: Choice, *, apply: bool) -> None:
    """Workers are told from others by the group, so a dry run refuses what would be refused."""

    async def work(admin: Admin) -> list[Step]:
        from app.engine.offsets.alone import refuse_members

        await refuse_members(admin.client, invocation.plan.group)
        return await _apply(invocation, admin, what, choose) if apply else choose(await _look(invocation, admin))

    _tell(invocation, invocation.kafka(work), applied=apply)


async def _apply(invocation: Invocation, admin: Admin, what: str, choose: Choice) -> list[Step]:
    from app.cli.audit import Applied, audit_record
    from app.engine.offsets.settling import settle
    from app.engine.tasks.lane import Encoded
    from app.engine.topology import build
    from app.wire.topics import AUDIT

    settings, plan = invocation.settings, invocation.plan
    if AUDIT.name not in await admin.topics():
        await admin.create({AUDIT: settings.partitions}, settings.replication_factor)
    count = (await admin.topics())[AUDIT.name]

    def audit(step: Step) -> Encoded:
        target, found = f"{step.at.topic}/{step.at.partition}", step.offsets
        why = (
            f"the group's position was {found.group}, the changelog's {found.changelog}, the log's start {found.first}"
        )
        act = Applied(f"{what}:{target}:{found.changelog}-{step.after}", what, target, why)
        out = audit_record(act, time.time_ns() // 1_000_000, settings.source, count)
        return Encoded(out.topic, out.partition, out.key, out.value, list(out.headers))

    return await settle(admin.client, plan.group, build(plan.processors, plan.named).values(), choose, audit)


def _tell(invocation: Invocation, steps: Sequence[Step], *, applied: bool) -> None:
    rows = [
        {
            "task": step.offsets.task,
            "topic": step.at.topic,
            "partition": step.at.partition,
            "group": _position(step.offsets.group),
            "changelog": _position(step.offsets.changelog),
            "position": step.after,
            "expired": step.expired,
        }
        for step in steps
    ]
    if invocation.as_json:
        put_json({"applied": applied, "steps": rows})
        return
    put_rows(rows, STEPS, "nothing to accept")
    if rows and not applied:
        click.echo("nothing was written: add --apply")
