"""`iopt demo breakers`, behind its command line."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from deploy.demo import frame
from deploy.demo.breakers import checks
from deploy.demo.breakers.payment import NAME
from deploy.demo.breakers.stage import CALLERS, Stage
from deploy.demo.report import show_findings, show_table
from deploy.demo.stage import Broken


def run(kill: bool, *, keep: bool, json: bool) -> int:
    """0 if all went as it should. What was written stays where it did not, or with `keep`."""
    console = Console(stderr=json)

    async def play(directory: Path, kafka: str) -> dict[str, Any]:
        return await _play(directory, kafka, kill, console)

    return frame.run(play, lambda outcome: _show(outcome, console), console, keep=keep, json=json)


async def _play(directory: Path, kafka: str, kill: bool, console: Console) -> dict[str, Any]:
    began = time.monotonic()
    stage = Stage(directory, kafka, kill, lambda what: _say(console, what))
    try:
        await stage.play()
    except Broken as error:
        stage.wrong.append(str(error))
    return _outcome(stage, time.monotonic() - began)


def _say(console: Console, what: str) -> None:
    console.print(f"{datetime.now(UTC):%H:%M:%S.%f}"[:12], what, highlight=False, markup=False, soft_wrap=True)


def _outcome(stage: Stage, took_s: float) -> dict[str, Any]:
    seen, charges = stage.seen, stage.payment.charges
    killed = [f"the worker died {len(stage.worker.deaths)} times"] if len(stage.worker.deaths) != stage.kills else []
    findings = [*stage.wrong, *killed, *checks.findings(seen, charges)]
    tried = Counter(charge.caller for charge in checks.trials(charges))
    return {
        "took_s": round(took_s, 1),
        "transitions": [
            f"{body['seq']}: {body['from']} -> {body['to']} ({body['cause']})" for _, body in seen.transitions
        ],
        "calls": {name: len(stage.payment.by(name)) for name in CALLERS},
        "of_them_failed": {name: sum(not charge.done for charge in stage.payment.by(name)) for name in CALLERS},
        "last_call_after_ms": {shut.state: shut.last_ms(charges) for shut in checks.shuts(seen)},
        "trial_calls": {name: tried[name] for name in CALLERS},
        "kills": int(stage.kills),
        "exit_codes": list(stage.worker.deaths),
        "answered": stage.answers,
        "findings": findings,
        "holds": not findings,
    }


def _show(outcome: dict[str, Any], console: Console) -> None:
    rows = {name: value for name, value in outcome.items() if name != "answered"}
    rows["transitions"] = "\n".join(rows["transitions"])
    rows |= _answered(outcome["answered"]) if outcome["answered"] else {}
    show_table(f"three callers of one service, {outcome['took_s']} s", rows, console)
    show_findings(outcome["findings"], console)
    if outcome["holds"]:
        console.print("[green]One breaker for all: opened once, tried within its limit, closed once.[/green]")
    else:
        console.print(
            f"[red]{len(outcome['findings'])} findings: the fleet's breaker did not do what it promises.[/red]"
        )


def _answered(answers: dict[str, Any]) -> dict[str, Any]:
    """What the worker's HTTP said at the end."""
    events = answers["circuitBreakerEvents"]
    return {
        "/actuator/circuitbreakers": answers["circuitBreakers"][NAME],
        "/actuator/circuitbreakerevents": dict(Counter(event["type"] for event in events)),
    }
