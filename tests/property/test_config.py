"""Whatever a file and the environment say, it is loaded, or refused with the place of each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import SettingsRefused, load
from app.config.catalogue import CATALOGUE

NAMES = st.builds(
    lambda key, own, below: key.name.replace("**", below).replace("*", own),
    st.sampled_from(CATALOGUE),
    st.sampled_from(["pay", "default", "a.b", "[pay:op:charge]", "[0]", ""]),
    st.sampled_from(["x", "x.y", "x[0]"]),
)
KEYS = NAMES | st.builds("{}{}".format, NAMES, st.sampled_from(["[0]", "[1]", ".x", "[]", "[", "..", ":"]))
SAID = ["1", "0", "-1", "30s", "true", "a, b", "a", "", " ", "50", "OPEN", "TIME_BASED", "${A}", "${A:${B:7}}", "${"]
TEXTS = st.sampled_from([f"'{text}'" for text in SAID])
VALUES = TEXTS | st.sampled_from(
    ["[a, b]", "[]", "{}", "{a: 1}", "[{a: 1}, b]", "~", "5", "2026-01-01", "0x10", ".inf"]
)
FILES = st.lists(st.builds('"{}": {}'.format, KEYS, VALUES) | st.just("---"), max_size=5).map("\n".join)
VARIABLES = NAMES.map(lambda name: "".join(each if each.isalnum() else "_" for each in name).upper())
ENVIRONMENTS = st.dictionaries(VARIABLES, st.sampled_from(SAID), max_size=2)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "application.yml"


@given(text=FILES, env=ENVIRONMENTS)
def test_it_is_loaded_or_refused_and_never_anything_else(file: Path, text: str, env: dict[str, str]) -> None:
    file.write_text(text)
    places = settled(file, env)
    assert places
    assert all(place == "default" or place in env or place.startswith(str(file)) for place in places)


def settled(file: Path, env: dict[str, str]) -> list[str]:
    """Where each mistake is, or each value came from."""
    try:
        settings = load(file, env)
    except SettingsRefused as refused:
        return [problem.where for problem in refused.problems]
    for name in ("pay", "pay:op:charge", *settings.breakers):
        settings.breaker_policy(name)
        settings.retry_policy(name)
    return [value.origin for value in settings.effective()]
