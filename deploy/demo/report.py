"""What came of the demo: one dict, and the same as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.demo.books import Audit, Finding
from deploy.demo.story import Story

SHOWN = 20
BOOKS = ("reserved", "sold", "shop", "booked")  # accounts that say what the run came to
DEAD_LETTERS_DUE = {"undecodable": 1, "bad-key": 1}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`commands` were received, `deaths` are the exit codes after which the worker was started again."""

    orders: int
    seed: int
    took_s: float
    story: Story
    audit: Audit
    dead_letters: Counter[str]
    commands: int
    sent_twice: Sequence[str]
    kills: int
    kills_due: int
    deaths: Sequence[int]
    broken: str | None = None

    def findings(self) -> list[Finding]:
        return [
            *([Finding("demo", self.broken)] if self.broken else []),
            *(
                [Finding("demo", f"killed {self.kills} times of {self.kills_due}")]
                if self.kills < self.kills_due
                else []
            ),
            *(
                [Finding("demo", f"the worker died {len(self.deaths)} times, {self.kills} times of a kill")]
                if len(self.deaths) > self.kills
                else []
            ),
            *self.audit.findings,
            *self.story.findings(),
            *(Finding(command_id, "command sent twice") for command_id in self.sent_twice),
            *self._dead_letters_off(),
        ]

    def _dead_letters_off(self) -> Iterable[Finding]:
        for reason in sorted(DEAD_LETTERS_DUE.keys() | self.dead_letters.keys()):
            found, due = self.dead_letters[reason], DEAD_LETTERS_DUE.get(reason, 0)
            if found != due:
                yield Finding("dead letters", f"{reason}: {found}, expected {due}")

    def told(self) -> dict[str, Any]:
        story = self.story
        findings = self.findings()
        return {
            "orders": self.orders,
            "seed": self.seed,
            "took_s": round(self.took_s, 1),
            **{state.lower(): n for state, n in sorted(Counter(story.endings.values()).items())},
            "dead_letters": dict(sorted(self.dead_letters.items())),
            "breaker_transitions": dict(
                Counter(f"{t['breaker']}: {t['from']} -> {t['to']}" for t in story.transitions if t["from"] != t["to"])
            ),
            "to_first_command_ms": percentiles(story.ordered_at, story.commanded_at),
            "to_end_ms": percentiles(story.ordered_at, story.ended_at),
            "commands": self.commands,
            "kills": self.kills,
            "restarts": len(self.deaths),
            "exit_codes": list(self.deaths),
            "books": {name: str(self.audit.totals.get(name, 0)) for name in BOOKS},
            "owed": {
                order_id: {name: str(much) for name, much in sorted(held.items()) if much > 0}
                for order_id, held in sorted(self.audit.owed.items())
            },
            "findings": [f"{finding.about}: {finding.what}" for finding in findings],
            "holds": not findings,
        }


def percentiles(begun: dict[str, int], ended: dict[str, int]) -> dict[str, int]:
    took = sorted(ended[order_id] - begun[order_id] for order_id in begun.keys() & ended.keys())
    return {f"p{p}": took[min(len(took) - 1, len(took) * p // 100)] for p in (50, 99)} if took else {}


def show(told: dict[str, Any], console: Console) -> None:
    show_table(f"{told['orders']} orders, seed {told['seed']}, {told['took_s']} s", told, console)
    show_findings(told["findings"], console)
    console.print(_verdict(told), soft_wrap=True)


def show_table(title: str, told: dict[str, Any], console: Console) -> None:
    table = Table(title=title, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in told.items():
        if name not in ("orders", "seed", "took_s", "findings", "holds"):
            table.add_row(name.replace("_", " "), _said(value))
    console.print(table)


def show_findings(findings: Sequence[str], console: Console) -> None:
    for finding in findings[:SHOWN]:
        console.print(f"[red]wrong:[/red] {escape(finding)}", highlight=False, soft_wrap=True)
    if (more := len(findings) - SHOWN) > 0:
        console.print(f"... and {more} more (--json names them all)")


def _said(value: Any) -> str:
    match value:
        case dict():
            return "\n".join(f"{name}: {_in_line(one)}" for name, one in value.items()) or "none"
        case list():
            return ", ".join(map(str, value)) or "none"
    return str(value)


def _in_line(value: Any) -> str:
    return ", ".join(f"{name} {one}" for name, one in value.items()) if isinstance(value, dict) else str(value)


def _verdict(told: dict[str, Any]) -> str:
    if told["holds"]:
        return f"[green]{told['orders']} orders checked: stock, money and shipments balance, nothing twice.[/green]"
    return f"[red]{len(told['findings'])} findings: the books do not agree with how the orders ended.[/red]"
