"""`iopt topics`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from app.cli.invocation import Invocation, json_option, settled
from app.cli.output import put_json, put_rows

if TYPE_CHECKING:
    from app.engine.broker.admin import Admin
    from app.wire.topics import Topic

COLUMNS = {"topic": "TOPIC", "what": "WHAT", "found": "FOUND", "expected": "EXPECTED"}


class Difference(NamedTuple):
    topic: str
    what: str  # missing, partitions, or a name of the topic's configuration
    found: str | int | None
    expected: str | int | None
    owned: bool

    @property
    def harms(self) -> bool:
        """A worker would refuse to start."""
        return self.what in ("missing", "partitions")


@click.group()
def topics() -> None:
    """Create own topics, and compare them with what is wanted."""


@topics.command()
@json_option
@settled
def diff(invocation: Invocation) -> None:
    """What differs from what the settings and the definitions want. Exit code 1 if anything does."""

    async def look(admin: Admin) -> list[Difference]:
        return await _differences(admin, await _wanted(invocation, admin))

    found = invocation.kafka(look)
    _put(invocation, [difference._asdict() for difference in found], "all topics are as they should be")
    if found:
        raise SystemExit(1)


@topics.command()
@json_option
@settled
def create(invocation: Invocation) -> None:
    """Create own topics that are missing; topics of others never. Exit code 1 if a worker could not start then."""

    async def work(admin: Admin) -> tuple[list[str], list[Difference]]:
        wanted = await _wanted(invocation, admin)
        counts = await admin.topics()
        missing = {
            topic: count for topic, count in wanted.items() if topic.owned and count and topic.name not in counts
        }
        if missing:
            await admin.create(missing, invocation.settings.replication_factor)
        return sorted(topic.name for topic in missing), await _differences(admin, wanted)

    created, left = invocation.kafka(work)
    if invocation.as_json:
        put_json({"created": created, "differences": [difference._asdict() for difference in left]})
    else:
        click.echo("\n".join(f"created {name}" for name in created) or "no own topic was missing")
        if left:
            put_rows([difference._asdict() for difference in left], COLUMNS, "")
    if any(difference.harms for difference in left):
        raise SystemExit(1)


def _put(invocation: Invocation, rows: list[dict[str, Any]], none: str) -> None:
    if invocation.as_json:
        put_json(rows)
    else:
        put_rows(rows, COLUMNS, none)


async def _wanted(invocation: Invocation, admin: Admin) -> dict[Topic, int]:
    """As a worker with these settings would have them."""
    from app.engine.topology import build
    from app.engine.wanted import wanted

    plan = invocation.plan
    return wanted(plan, build(plan.processors, plan.named).values(), await admin.topics())


async def _differences(admin: Admin, wanted: Mapping[Topic, int]) -> list[Difference]:
    counts = await admin.topics()
    there = [topic for topic in wanted if topic.name in counts]
    configured = await admin.configs([topic.name for topic in there if topic.owned])
    found = [Difference(topic.name, "missing", None, None, topic.owned) for topic in wanted if topic not in there]
    for topic in there:
        count = wanted[topic]
        if count and counts[topic.name] != count:
            found.append(Difference(topic.name, "partitions", counts[topic.name], count, topic.owned))
        found += _config_differences(topic, configured.get(topic.name, {}))
    return sorted(found)


def _config_differences(topic: Topic, configured: Mapping[str, str]) -> list[Difference]:
    from app.wire.topics import configs

    if not topic.owned:
        return []
    expected = configs(topic)
    return [
        Difference(topic.name, name, configured.get(name), value, owned=True)
        for name, value in expected.items()
        if configured.get(name) != value
    ]
