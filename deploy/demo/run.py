"""`iopt demo`, behind its command line."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from aiokafka.structs import ConsumerRecord
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.demo import frame
from deploy.demo.books import audit
from deploy.demo.ledger import Entry, Ledger
from deploy.demo.orders import orders
from deploy.demo.participants import NAMES
from deploy.demo.report import Outcome, show
from deploy.demo.shop import topics
from deploy.demo.stage import Broken, Plan, Stage
from deploy.demo.watch import finish, reader

REASON = "iopt-dlq-reason"


def run(orders: int, kills: int, seed: int, *, keep: bool, json: bool) -> int:
    """0 if every order ended as it should. What was written stays where they did not, or with `keep`."""
    console = Console(stderr=True)

    async def play(directory: Path, kafka: str) -> dict[str, Any]:
        return (await _play(Plan(orders, kills, seed, directory), kafka, console)).told()

    return frame.run(play, lambda told: show(told, Console()), console, keep=keep, json=json)


async def _play(plan: Plan, kafka: str, console: Console) -> Outcome:
    began = time.monotonic()
    broken = None
    with _progress(console) as progress:
        sent, ended = (progress.add_task(what, total=plan.orders) for what in ("orders sent", "orders ended"))

        def watching(so_far: int, so_many: int) -> None:
            progress.update(sent, completed=so_far)
            progress.update(ended, completed=so_many)

        stage = Stage(plan, kafka, watching)
        try:
            await stage.play()
        except Broken as error:
            broken = str(error)
    return await _outcome(stage, time.monotonic() - began, broken)


async def _outcome(stage: Stage, took_s: float, broken: str | None) -> Outcome:
    plan = stage.plan
    entries, commands, sent_twice = _books(plan.books)
    return Outcome(
        orders=plan.orders,
        seed=plan.seed,
        took_s=took_s,
        story=stage.story,
        audit=audit(orders(plan.seed, plan.orders), stage.story.newest | stage.story.endings, entries),
        dead_letters=await _dead_letters(stage.kafka),
        commands=commands,
        sent_twice=sent_twice,
        kills=stage.kills,
        kills_due=plan.kills,
        deaths=stage.worker.deaths,
        broken=broken,
    )


def _books(directory: Path) -> tuple[list[Entry], int, list[str]]:
    """Entries, how many commands were received, and which of them were sent twice."""
    entries: list[Entry] = []
    commands = 0
    twice: list[str] = []
    for name in NAMES:
        ledger = Ledger(directory / f"{name}.sqlite")
        entries += ledger.entries()
        commands += ledger.received()
        twice += ledger.sent_twice()
        ledger.close()
    return entries, commands, twice


async def _dead_letters(kafka: str) -> Counter[str]:
    """How many, by reason."""
    reasons: Counter[str] = Counter()

    def tell(record: ConsumerRecord) -> None:
        reasons[dict(record.headers)[REASON].decode()] += 1

    names = [name for name in await topics(kafka) if name.startswith("iopt.dlq.")]
    if names:
        async with reader(kafka, names) as consumer:
            await finish(consumer, tell)
    return reasons


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
