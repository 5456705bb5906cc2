"""Every setting is found by each of its spellings."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from app.config.binding import find
from app.config.catalogue import ALIASES, CATALOGUE
from app.config.entries import Entry, segments
from app.config.environment import short_names, variables
from app.config.keys import Effect, Key
from app.config.resilience import FAMILIES

KEYS = [key for key in CATALOGUE if key.effect is not Effect.REFUSED and "**" not in key.name]
OF_A_FILE = {
    "kebab": lambda name: re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"-{found[1].lower()}", name),
    "camel": lambda name: re.sub(r"(?<=[a-z])-([a-z])", lambda found: found[1].upper(), name),
    "snake": lambda name: re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", name).replace("-", "_"),
}
OF_THE_ENVIRONMENT = {
    "dashes removed": lambda name: name.replace("-", "").upper().replace(".", "_"),
    "dashes to _": lambda name: OF_A_FILE["kebab"](name).upper().replace("-", "_").replace(".", "_"),
}


def named(key: Key, own: str) -> str:
    return key.name.replace("*", own)


@pytest.mark.parametrize("spelled", OF_A_FILE.values(), ids=OF_A_FILE)
@pytest.mark.parametrize("own", ["pay", "[pay.v1:op:charge]"])
def test_a_file_may_spell_a_setting_as_it_likes(spelled: Callable[[str], str], own: str) -> None:
    for key in KEYS:
        head, star, tail = key.name.partition("*")
        path = segments(spelled(head)) + (segments(own) if star else []) + segments(spelled(tail))
        assert find(tuple(path)) == (key, own.strip("[]") if star else "")


@pytest.mark.parametrize("spelled", OF_THE_ENVIRONMENT.values(), ids=OF_THE_ENVIRONMENT)
def test_a_variable_may_spell_a_setting_in_both_ways(spelled: Callable[[str], str]) -> None:
    for key in KEYS:
        if "*" in key.name and not key.name.startswith(("iopt.", "resilience4j.")):
            continue
        (entry,) = variables({spelled(named(key, "payment-service")): "x"}, ["payment-service"])
        assert isinstance(entry, Entry)
        assert find(entry.path) == (key, "payment-service" if "*" in key.name else "")


def test_short_names_stand_for_settings() -> None:
    assert [find(entry.path) for entry in short_names(dict.fromkeys(ALIASES, "x"))] == [
        (next(key for key in CATALOGUE if key.name == name), "") for name in ALIASES.values()
    ]


def test_every_family_has_the_same_settings_for_instances_and_configs() -> None:
    for family in FAMILIES:
        fields = {
            group: {key.name.rpartition(".")[2] for key in CATALOGUE if key.name.startswith(f"{family}.{group}.")}
            for group in ("instances", "configs")
        }
        assert fields["instances"] == fields["configs"]
        assert "baseConfig" in fields["configs"]
