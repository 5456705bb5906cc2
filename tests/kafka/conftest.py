"""What can be left out here: PROMETHEUS=off, where there is neither `prometheus` nor the right to install it."""

from __future__ import annotations

import os

import pytest

OFF = os.environ.get("PROMETHEUS") == "off"

collect_ignore = ["test_prometheus.py"] if OFF else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if OFF:
        terminalreporter.write_line("PROMETHEUS=off: scraping and the dashboard's queries were left out")
