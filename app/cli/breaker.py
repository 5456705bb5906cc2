"""`iopt breaker`"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click

from app.cli.invocation import Invocation, json_option, settled, url_option
from app.cli.output import put_fields, put_json, put_rows, text_of

COLUMNS = {
    "breaker": "BREAKER",
    "state": "STATE",
    "failureRate": "FAILURES",
    "slowCallRate": "SLOW",
    "bufferedCalls": "CALLS",
    "failedCalls": "FAILED",
    "notPermittedCalls": "NOT PERMITTED",
}
EVENT_COLUMNS = {
    "creationTime": "AT",
    "circuitBreakerName": "BREAKER",
    "type": "TYPE",
    "stateTransition": "CHANGE",
    "durationInMs": "MS",
    "calls": "CALLS",
    "errorMessage": "ERROR",
}
type_option = click.option("--type", "type_", help="Only of this type, as ERROR or STATE_TRANSITION; with a NAME.")


@click.group()
def breaker() -> None:
    """Show circuit breakers, and change them by hand."""


@breaker.command("list")
@url_option
@json_option
@settled
def list_(invocation: Invocation) -> None:
    """The breakers of all workers. Rates are -1.0% below the minimum number of calls."""
    rows = [{"breaker": name, **said} for name, said in sorted(_breakers(invocation).items())]
    if invocation.as_json:
        put_json(rows)
    else:
        put_rows(rows, COLUMNS, "there are no breakers: no call was reported yet, and the settings name none")


@breaker.command()
@click.argument("name")
@url_option
@json_option
@settled
def show(invocation: Invocation, name: str) -> None:
    """One breaker."""
    said = _breakers(invocation).get(name)
    if said is None:
        raise click.ClickException(f"there is no breaker {name}")
    row = {"breaker": name, **said}
    if invocation.as_json:
        put_json(row)
    else:
        put_fields(row)


def _breakers(invocation: Invocation) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = invocation.get("/actuator/circuitbreakers")["circuitBreakers"]
    return found


def _act(name: str, body: dict[str, str], meaning: str) -> None:
    @breaker.command(name, help=meaning)
    @click.argument("breaker_name", metavar="NAME")
    @click.option("--reason", default="", help="Why; it stands in the audit.")
    @url_option
    @json_option
    @settled
    def act(invocation: Invocation, breaker_name: str, reason: str) -> None:
        said = invocation.post(f"/actuator/circuitbreakers/{quote(breaker_name, safe='')}", {**body, "reason": reason})
        if invocation.as_json:
            put_json(said)
        else:
            click.echo(f"{said['currentState']}: {said['message']}")
        if not said["message"].endswith("successfully"):
            raise SystemExit(1)


_act("open", {"state": "FORCED_OPEN"}, "Permit no call, whatever the rates, until it is closed by hand.")
_act("close", {"state": "CLOSED"}, "Permit calls and judge them, from an empty window on.")
_act("disable", {"state": "DISABLED"}, "Permit all calls and judge none.")
_act("metrics-only", {"state": "METRICS_ONLY"}, "Permit all calls, and count them without ever opening.")
_act("reset", {"updateState": "RESET"}, "As if it began anew.")


@breaker.command()
@click.argument("name", required=False)
@type_option
@url_option
@json_option
@settled
def events(invocation: Invocation, name: str | None, type_: str | None) -> None:
    """The newest hundred events of each breaker, or of one; the oldest first."""
    found = invocation.get(_path("circuitbreakerevents", name, type_))["circuitBreakerEvents"]
    if invocation.as_json:
        put_json(found)
    else:
        put_rows(found, EVENT_COLUMNS, "no events")


@breaker.command()
@click.argument("name", required=False)
@type_option
@url_option
@json_option
@settled
def watch(invocation: Invocation, name: str | None, type_: str | None) -> None:
    """Events as they come, one on a line, until Ctrl-C."""
    put = click.echo if invocation.as_json else _put_event
    try:
        for line in invocation.stream(_path("streamcircuitbreakerevents", name, type_)):
            if line.startswith(b"data:"):
                _flushed(put, line.removeprefix(b"data:").decode().strip())
    except KeyboardInterrupt:
        return
    raise click.ClickException("the worker has ended the stream")


def _flushed(put: Callable[[str], Any], text: str) -> None:
    put(text)
    click.get_text_stream("stdout").flush()


def _put_event(text: str) -> None:
    event = json.loads(text)
    click.echo("  ".join(text_of(event[field]) for field in EVENT_COLUMNS if event.get(field) is not None))


def _path(endpoint: str, name: str | None, type_: str | None) -> str:
    if type_ is not None and name is None:
        raise click.UsageError("--type: expected a NAME before it")
    parts = [quote(part, safe="") for part in (name, type_) if part is not None]
    return "/".join(["/actuator", endpoint, *parts])
