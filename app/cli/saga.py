"""`iopt saga`"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from app.cli.invocation import Invocation, NotGiven, json_option, settled, url_option
from app.cli.output import instant, put_fields, put_json, put_rows

if TYPE_CHECKING:
    from app.domain.sagas.definition import Definition
    from app.domain.sagas.messages import Start
    from app.engine.broker.admin import Admin

COLUMNS = {
    "saga_id": "SAGA",
    "state": "STATE",
    "run": "RUN",
    "started": "STARTED",
    "deadline": "DEADLINE",
    "stuck": "STUCK",
}
STEP_COLUMNS = {"step": "STEP", "state": "STATE", "attempt": "ATTEMPT", "at": "AT", "command_id": "COMMAND"}
ENDED = ("COMPLETED", "COMPENSATED", "ABANDONED")
NOT_FOUND = 404


@click.group()
def saga() -> None:
    """List, show and start sagas."""


@saga.command("list")
@click.option("--saga", "name", help="Only of this definition.")
@click.option("--state", help="Only in this state, as RUNNING or IN_DEBT.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@url_option
@json_option
@settled
def list_(invocation: Invocation, name: str | None, state: str | None, limit: int) -> None:
    """The sagas that the asked worker keeps."""
    found = _listed(invocation, {"saga": name, "state": state}, limit)
    if invocation.as_json:
        put_json(found)
    else:
        rows = [{**row, **_instants(row, "started", "deadline")} for row in found]
        put_rows(rows, COLUMNS, "this worker keeps no such saga")


def _listed(invocation: Invocation, wanted: dict[str, str | None], limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < limit:
        page = invocation.get("/sagas", **wanted, limit=min(100, limit - len(found)), cursor=cursor)
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    return found


def _instants(row: dict[str, Any], *names: str) -> dict[str, str]:
    return {name: instant(row.get(f"{name}_at")) for name in names}


@saga.command()
@click.argument("saga")
@click.argument("key")
@url_option
@json_option
@settled
def show(invocation: Invocation, saga: str, key: str) -> None:
    """Where one saga stands, and its steps."""
    found = invocation.get(_path(saga, key))
    if invocation.as_json:
        put_json(found)
        return
    plain = {name: value for name, value in found.items() if name != "steps"}
    put_fields({name: instant(value) if name.endswith("_at") else value for name, value in plain.items()})
    click.echo()
    put_rows([{**step, "at": instant(step["at"])} for step in found["steps"]], STEP_COLUMNS, "no step was begun")


@saga.command()
@click.argument("saga")
@click.argument("key")
@click.option("--data", default="{}", show_default=True, help="The start's data: JSON, or @FILE, or @- for stdin.")
@click.option("--again", is_flag=True, help="A new run of a saga that has ended; asks its worker for the last one.")
@url_option
@json_option
@settled
def start(invocation: Invocation, saga: str, key: str, data: str, again: bool) -> None:
    """Start a saga by hand. The same key again starts nothing."""
    run = _next_run(invocation, saga, key) if again else 1
    raw = _data(data)

    async def send(admin: Admin) -> Start:
        from app.domain.sagas.messages import Start

        definition = await _newest(admin, saga)
        begun = Start(
            saga_id=_saga_id(saga, key),
            saga=saga,
            saga_version=definition.version,
            key=key,
            run=run,
            data=raw,
            at=time.time_ns() // 1_000_000,
        )
        await _send(admin, begun, invocation.settings.source)
        return begun

    begun = invocation.kafka(send)
    sent = {"saga_id": begun.saga_id, "saga_version": begun.saga_version, "run": begun.run}
    if invocation.as_json:
        put_json(sent)
    else:
        click.echo("sent: {saga_id}, version {saga_version}, run {run}".format_map(sent))


def _path(saga: str, key: str) -> str:
    return f"/sagas/{quote(saga, safe='')}/{quote(key, safe='')}"


def _saga_id(saga: str, key: str) -> str:
    from app.domain.errors import BadKey
    from app.domain.sagas.ids import saga_id

    try:
        return saga_id(saga, key)
    except BadKey as error:
        raise click.BadParameter(str(error), param_hint="KEY") from error


def _data(text: str) -> Any:
    """As Raw JSON: numbers keep their digits."""
    from msgspec import Raw

    if text.startswith("@"):
        with click.open_file(text[1:], encoding="utf-8") as file:
            text = file.read()
    try:
        json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}: expected JSON", param_hint="--data") from error
    return Raw(text.encode())


def _next_run(invocation: Invocation, saga: str, key: str) -> int:
    try:
        found = invocation.get(_path(saga, key))
    except NotGiven as refused:
        if refused.status == NOT_FOUND:
            return 1
        raise
    if found["state"] not in ENDED:
        raise click.ClickException(f"{found['saga_id']} is {found['state']}: a new run begins when it has ended")
    return int(found["run"]) + 1


async def _newest(admin: Admin, saga: str) -> Definition:
    """The highest published version. Raises ClickException."""
    from app.domain.errors import PassedOver
    from app.wire.topics import DEFINITIONS

    found: dict[str, Definition] = {}
    async for record in admin.read(DEFINITIONS.name):
        try:
            definition: Definition = DEFINITIONS.codec.decode(record.value, record.headers)
        except PassedOver:
            continue
        before = found.get(definition.saga)
        if before is None or before.version < definition.version:
            found[definition.saga] = definition
    if saga not in found:
        known = ", ".join(sorted(found)) or "none"
        raise click.ClickException(f"no definition of {saga} is published; known: {known}")
    return found[saga]


async def _send(admin: Admin, start: Start, source: str) -> None:
    from app.engine.broker.admin import RawOut
    from app.wire.codec import Envelope
    from app.wire.partition import partition
    from app.wire.topics import SAGA_INBOX

    key = start.saga_id.encode()
    envelope = Envelope(f"{start.saga_id}:start:r{start.run}", start.saga_id, start.at, source)
    value, headers = SAGA_INBOX.codec.encode(start, envelope)
    count = (await admin.topics()).get(SAGA_INBOX.name, 0)
    if not count:
        raise click.ClickException(f"there is no topic {SAGA_INBOX.name}: start a worker, or `iopt topics create`")
    await admin.send([RawOut(SAGA_INBOX.name, partition(key, count), key, value, headers)])
