"""Settings: application.yml in Spring's shape, the environment over it (contract 7)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from app.config.binding import bind
from app.config.changes import Change, Counts
from app.config.documents import read
from app.config.entries import folded
from app.config.environment import variables
from app.config.errors import Problem, SettingsRefused
from app.config.settings import Route, Settings, build

__all__ = ["Change", "Counts", "Problem", "Route", "Settings", "SettingsRefused", "chosen", "load"]

USUAL_FILE = Path("application.yml")


def load(file: Path | str | None = None, env: Mapping[str, str] = os.environ) -> Settings:
    """Of the file, else of ./application.yml if there is one, else defaults; raises SettingsRefused."""
    found = chosen(file)
    entries = read(found, list(folded(variables(env, ())))) if found else []
    return build(bind(entries, env))


def chosen(file: Path | str | None) -> Path | None:
    """The file that is read, whether it is there or not."""
    return Path(file) if file else USUAL_FILE if USUAL_FILE.exists() else None
