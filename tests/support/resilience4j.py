"""The golden tables in tests/resilience4j: what Resilience4j 2.4.0 does, step by step, on a virtual clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TABLES = Path(__file__).parent.parent / "resilience4j"


def scenarios(table: str) -> list[Any]:
    """Of `table`.json, one parameter each, told by its id."""
    read: list[dict[str, Any]] = json.loads((TABLES / f"{table}.json").read_text())["scenarios"]
    return [pytest.param(scenario, id=scenario["id"]) for scenario in read]
