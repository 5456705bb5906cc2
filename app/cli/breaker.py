"""`iopt breaker`"""

from __future__ import annotations

import click

from app.cli.invocation import Invocation, json_option, settled, url_option
from app.cli.output import put_json, put_rows

COLUMNS = {
    "breaker": "BREAKER",
    "state": "STATE",
    "failureRate": "FAILURES",
    "slowCallRate": "SLOW",
    "bufferedCalls": "CALLS",
    "failedCalls": "FAILED",
    "notPermittedCalls": "NOT PERMITTED",
}


@click.group()
def breaker() -> None:
    """List circuit breakers."""


@breaker.command("list")
@url_option
@json_option
@settled
def list_(invocation: Invocation) -> None:
    """The breakers that the asked worker keeps. Rates are -1.0% below the minimum number of calls."""
    answer = invocation.get("/actuator/circuitbreakers")
    rows = [{"breaker": name, **said} for name, said in sorted(answer["circuitBreakers"].items())]
    if invocation.as_json:
        put_json(rows)
    else:
        put_rows(rows, COLUMNS, "this worker has no breakers: no call was reported yet")
