"""The dashboard, made from this list of panels: `python -m deploy.grafana` writes dashboard.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARD = Path(__file__).with_name("dashboard.json")
WIDTH = 24


class Query(NamedTuple):
    expr: str
    legend: str = ""


class Panel(NamedTuple):
    title: str
    kind: str
    unit: str
    width: int
    height: int
    queries: Sequence[Query]


def rate(metric: str, *by: str) -> str:
    return f"sum by ({', '.join(by)}) (rate({metric}[$__rate_interval]))"


def quantiles(metric: str) -> list[Query]:
    buckets = rate(f"{metric}_bucket", "le")
    return [Query(f"histogram_quantile({q}, {buckets})", f"p{q * 100:.0f}") for q in (0.5, 0.99)]


def stat(title: str, unit: str, expr: str, legend: str = "") -> Panel:
    return Panel(title, "stat", unit, 4, 4, [Query(expr, legend)])


def graph(title: str, unit: str, *queries: Query, width: int = 8) -> Panel:
    return Panel(title, "timeseries", unit, width, 8, queries)


SECTIONS: dict[str, list[Panel]] = {
    "Now": [
        stat("Workers up", "short", 'sum(up{job="iopt"})'),
        stat("Broker answers", "bool_yes_no", "min(iopt_broker_up)"),
        stat("Views read", "percentunit", "avg(iopt_views_ready)"),
        stat("Lag", "short", "sum(iopt_lag)"),
        stat("Dead letters in an hour", "short", "sum(increase(iopt_dead_letters_total[1h]))"),
        stat("Version", "string", "count by (version) (iopt_build_info)", "{{version}}"),
    ],
    "Sagas and breakers": [
        graph("Sagas by state", "short", Query("sum by (state) (iopt_sagas)", "{{state}}")),
        Panel(
            "Breakers by state",
            "state-timeline",
            "short",
            8,
            8,
            [Query("max by (breaker, state) (iopt_breaker_state == 1)", "{{breaker}} {{state}}")],
        ),
        graph("Dead letters", "cps", Query(rate("iopt_dead_letters_total", "topic", "reason"), "{{topic}} {{reason}}")),
    ],
    "Records": [
        graph("Records by fate", "cps", Query(rate("iopt_records_total", "fate", "reason"), "{{fate}} {{reason}}")),
        graph("Records by topic", "cps", Query(rate("iopt_records_total", "topic"), "{{topic}}")),
        graph("Records sent by topic", "cps", Query(rate("iopt_outs_total", "topic"), "{{topic}}")),
        graph("Lag by topic", "short", Query("sum by (topic) (iopt_lag)", "{{topic}}")),
        graph(
            "Timers",
            "cps",
            Query(rate("iopt_timers_fired_total", "row"), "{{row}}"),
            Query("sum(rate(iopt_timer_held_total[$__rate_interval]))", "held up by others"),
            Query("sum(rate(iopt_clock_jumps_total[$__rate_interval]))", "jumps of the wall clock"),
        ),
        graph("Rewinds", "cps", Query(rate("iopt_rewinds_total", "reason"), "{{reason}}")),
    ],
    "Transactions": [
        graph(
            "Transactions",
            "ops",
            Query("sum(rate(iopt_commits_total[$__rate_interval]))", "committed"),
            Query("sum(rate(iopt_transactions_aborted_total[$__rate_interval]))", "aborted"),
            width=6,
        ),
        graph("Duration of a commit", "s", *quantiles("iopt_commit_seconds"), width=6),
        graph("Records in a transaction", "short", *quantiles("iopt_transaction_records"), width=6),
        graph("Bytes in a transaction", "bytes", *quantiles("iopt_transaction_bytes"), width=6),
    ],
    "Workers": [
        graph("Tasks by state", "short", Query("sum by (state) (iopt_tasks)", "{{state}}"), width=6),
        graph(
            "Restoring",
            "short",
            Query("sum by (row) (iopt_restore_remaining)", "{{row}} still to read"),
            Query("sum(rate(iopt_restore_records_total[$__rate_interval]))", "read a second"),
            width=6,
        ),
        graph(
            "Rebalances",
            "short",
            Query("sum(increase(iopt_rebalances_total[$__rate_interval]))", "rebalances"),
            width=6,
        ),
        graph(
            "CPU and memory",
            "short",
            Query('rate(process_cpu_seconds_total{job="iopt"}[$__rate_interval])', "cores {{instance}}"),
            Query('process_resident_memory_bytes{job="iopt"} / 1e9', "GB {{instance}}"),
            width=6,
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    return {
        "uid": "iopt",
        "title": "Integration Optimization",
        "tags": ["iopt"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}]
        },
        "panels": list(_panels()),
    }


def expressions() -> list[str]:
    return [query.expr for panels in SECTIONS.values() for panel in panels for query in panel.queries]


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for section, panels in SECTIONS.items():
        number += 1
        yield {"id": number, "type": "row", "title": section, "collapsed": False, "gridPos": _at(0, top, WIDTH, 1)}
        left, top = 0, top + 1
        for panel in panels:
            if left + panel.width > WIDTH:
                left, top = 0, top + panel.height
            number += 1
            yield _panel(number, panel, _at(left, top, panel.width, panel.height))
            left += panel.width
        top += panels[-1].height


def _at(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"h": height, "w": width, "x": left, "y": top}


def _panel(number: int, panel: Panel, at: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    targets = [
        {"refId": chr(ord("A") + n), "datasource": source, "expr": query.expr, "legendFormat": query.legend or "__auto"}
        for n, query in enumerate(panel.queries)
    ]
    found = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": source,
        "gridPos": at,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": targets,
    }
    if panel.unit == "string":
        found["options"] = {"textMode": "name"}
    return found


def text() -> str:
    return json.dumps(dashboard(), indent=2) + "\n"
