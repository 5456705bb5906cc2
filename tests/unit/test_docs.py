"""What the documents point at is there: files, the tests that show a guarantee, settings, metrics, commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.cli import NOUNS, main
from app.config.catalogue import ALIASES, CATALOGUE
from app.telemetry import metrics
from app.wire.topics import OWNED
from deploy.settings_page import whole

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CHANGELOG.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
CODES = {"iopt.undone", "iopt.expired"}
GUIDES = ["README.md", "docs/breakers.md", "docs/configuration.md", "docs/operations.md", "docs/participants.md"]


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text(page))
    inside = [link for link in links if not link.startswith("http")]
    assert [link for link in inside if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("page", GUIDES)
def test_every_test_that_is_named_is_there(page: str) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text(page)):
        kind = "class" if name[:1].isupper() else "def"
        assert not name or f"{kind} {name}(" in text(path), f"{path}::{name}"


@pytest.mark.parametrize("page", GUIDES)
def test_every_path_of_the_tree_is_there(page: str) -> None:
    named = re.findall(r"`((?:app|agents|tables|deploy|tests|docs)/[\w./-]+)`", text(page))
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", GUIDES)
def test_every_metric_is_declared(page: str) -> None:
    named = set(re.findall(r"\biopt_(?!client\b)[a-z_]+", text(page)))
    assert named <= set(metrics.CATALOGUE)


@pytest.mark.parametrize("page", GUIDES)
def test_every_setting_is_known(page: str) -> None:
    named = re.findall(r"`((?:server|spring|iopt)\.[a-z]+(?:[.-][a-z]+)*)`", text(page))
    others = {topic.name for topic in OWNED} | CODES
    assert set(named) - others <= {key.name for key in CATALOGUE}
    assert set(re.findall(r"\bIOPT_(?:KAFKA|PORT)\b", text(page))) <= set(ALIASES)


def test_the_page_of_settings_has_every_one_as_it_is() -> None:
    page = text("docs/configuration.md")
    assert page == whole(page), "python -m deploy.settings_page writes it"


@pytest.mark.parametrize("page", GUIDES)
def test_every_command_is_there(page: str) -> None:
    shown = "\n".join(re.findall(r"^    (.+)$", text(page), re.MULTILINE) + re.findall(r"`([^`]+)`", text(page)))
    for noun, verb in re.findall(r"\biopt ([a-z][a-z-]*)(?: ([a-z][a-z-]*)\b)?", shown):
        assert noun in NOUNS, noun
        command = main.get_command(None, noun)
        verbs = getattr(command, "commands", {})
        assert not (verb and verbs) or verb in verbs, f"iopt {noun} {verb}"
