"""Settings: application.yml in Spring's shape, the environment over it (contract 7)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from app.config.binding import bind
from app.config.documents import read
from app.config.entries import folded
from app.config.environment import variables
from app.config.errors import Problem, SettingsRefused
from app.config.settings import Route, Settings, build

__all__ = ["Problem", "Route", "Settings", "SettingsRefused", "load"]

USUAL_FILE = Path("application.yml")


def load(file: Path | str | None = None, env: Mapping[str, str] = os.environ) -> Settings:
    """Of the file, else of ./application.yml if there is one, else defaults; raises SettingsRefused."""
    chosen = Path(file) if file else USUAL_FILE if USUAL_FILE.exists() else None
    entries = read(chosen, list(folded(variables(env, ())))) if chosen else []
    return build(bind(entries, env))
