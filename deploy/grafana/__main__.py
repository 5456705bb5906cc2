"""Writes dashboard.json."""

from deploy.grafana import DASHBOARD, text

DASHBOARD.write_text(text())
