"""The golden tables in tests/resilience4j: what Resilience4j 2.4.0 does, step by step, on a virtual clock."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.domain.interval import Interval, exponential, fixed, linear

TABLES = Path(__file__).parent.parent / "resilience4j"


def scenarios(table: str) -> list[Any]:
    """Of `table`.json, one parameter each, told by its id."""
    read: list[dict[str, Any]] = json.loads((TABLES / f"{table}.json").read_text())["scenarios"]
    return [pytest.param(scenario, id=scenario["id"]) for scenario in read]


def interval(config: dict[str, Any]) -> Interval:
    """As the tables write one; the multiplier's default is Resilience4j's."""
    match config["type"]:
        case "fixed":
            return fixed(config["initialMs"])
        case "linear":
            return linear(config["initialMs"], config["stepMs"])
        case _:
            return exponential(config["initialMs"], config.get("multiplier", 1.5), config.get("maxMs"))


def retry_interval(config: dict[str, Any]) -> Interval:
    """Of a retry's config: 500 ms where it says none."""
    return interval(config.get("interval", {"type": "fixed", "initialMs": 500}))


def dashboard_queries() -> list[str]:
    """What the panels of the public dashboard ask Prometheus for, with its variables meaning everything."""
    dashboard = json.loads((TABLES / "grafana_dashboard.json").read_text())
    exprs = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return [re.sub(r"\$\w+", ".*", expr) for expr in exprs]


def dashboard_variables() -> list[str]:
    """`label_values(metric, label)` as its variables ask."""
    dashboard = json.loads((TABLES / "grafana_dashboard.json").read_text())
    return [variable["definition"] for variable in dashboard["templating"]["list"]]
