"""The books of one service in one SQLite file: what it moved, and which idempotency keys it has answered for.

An effect and its key are written in one transaction, so a service that dies between them has done
neither. Every entry moves an amount from one account to another, so each order's accounts sum to nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from deploy.demo.command import Command

TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    idempotency_key TEXT PRIMARY KEY, outcome TEXT NOT NULL, data TEXT, code TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    idempotency_key TEXT NOT NULL, command TEXT NOT NULL, order_id TEXT NOT NULL,
    source TEXT NOT NULL, target TEXT NOT NULL, amount TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entries_by_key ON entries (idempotency_key);
CREATE TABLE IF NOT EXISTS received (
    command_id TEXT NOT NULL, part INTEGER NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (command_id, part, place)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The first final outcome of an idempotency key."""

    outcome: str
    data: Mapping[str, Any] | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    idempotency_key: str
    command: str
    order_id: str
    source: str
    target: str
    amount: Decimal


class Ledger:
    def __init__(self, file: Path | str) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + TABLES)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written inside is there as a whole, or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def first_outcome(self, idempotency_key: str) -> Outcome | None:
        row = self._db.execute(
            "SELECT outcome, data, code FROM keys WHERE idempotency_key = ?", (idempotency_key,)
        ).fetchone()
        return Outcome(row[0], json.loads(row[1]) if row[1] else None, row[2]) if row else None

    def remember(self, idempotency_key: str, outcome: Outcome) -> None:
        data = json.dumps(outcome.data) if outcome.data is not None else None
        self._db.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", (idempotency_key, outcome.outcome, data, outcome.code))

    def enter(self, entry: Entry) -> None:
        self._db.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)",
            (entry.idempotency_key, entry.command, entry.order_id, entry.source, entry.target, str(entry.amount)),
        )

    def note_received(self, command: Command) -> None:
        """Where it lay: the same command id at two places was sent twice."""
        self._db.execute("INSERT OR IGNORE INTO received VALUES (?, ?, ?)", (command.command_id, *command.position))

    def entries_of(self, idempotency_key: str) -> list[Entry]:
        return self._entries("SELECT * FROM entries WHERE idempotency_key = ? ORDER BY rowid", idempotency_key)

    def entries(self) -> list[Entry]:
        return self._entries("SELECT * FROM entries ORDER BY rowid")

    def _entries(self, query: str, *values: str) -> list[Entry]:
        return [
            Entry(key, command, order_id, source, target, Decimal(amount))
            for key, command, order_id, source, target, amount in self._db.execute(query, values)
        ]

    def sent_twice(self) -> list[str]:
        rows = self._db.execute("SELECT command_id FROM received GROUP BY command_id HAVING count(*) > 1 ORDER BY 1")
        return [command_id for (command_id,) in rows]

    def received(self) -> int:
        return int(self._db.execute("SELECT count(DISTINCT command_id) FROM received").fetchone()[0])

    def close(self) -> None:
        self._db.close()
