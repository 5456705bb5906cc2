"""Which profiles are active, and which documents they choose: Spring's `spring.profiles.*` and ProfilesParser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from app.config.entries import Entry, words
from app.config.errors import Problem, SettingsRefused
from app.config.units import uniform

ACTIVE = "spring.profiles.active"
INCLUDE = "spring.profiles.include"
DEFAULT = "spring.profiles.default"
GROUP = "spring.profiles.group."
ON_PROFILE = "spring.config.activate.onprofile"

Document = list[Entry | Problem]

_TOKEN = re.compile(r"\s*([&|!()]|[^\s&|!()]+)")


def active_profiles(documents: Iterable[Document]) -> tuple[str, ...]:
    """Those of the last `spring.profiles.active`, with what they include and group. Raises SettingsRefused."""
    entries = [entry for document in documents for entry in document if isinstance(entry, Entry)]
    chosen = list(_last(entries, ACTIVE) or _last(entries, DEFAULT) or ("default",))
    chosen += [name for entry in entries if entry.uniform == INCLUDE for name in words(entry.value)]
    for name in chosen:
        members = _last(entries, GROUP + uniform(name))
        chosen += [member for member in members if member not in chosen]
    if paths := [name for name in chosen if "/" in name]:
        raise SettingsRefused([Problem(ACTIVE, paths[0], "", "a profile's name, which has no `/`")])
    return tuple(dict.fromkeys(chosen))


def counts(document: Document, active: tuple[str, ...]) -> bool:
    """Raises SettingsRefused where its `on-profile` is no expression."""
    wanted = [entry for entry in document if isinstance(entry, Entry) and entry.uniform == ON_PROFILE]
    choices = [_matches(choice, active, wanted[-1]) for choice in words(wanted[-1].value)] if wanted else [True]
    return any(choices)


def _last(entries: Sequence[Entry], name: str) -> tuple[str, ...]:
    found = [entry for entry in entries if entry.uniform == name]
    return words(found[-1].value) if found else ()


def _matches(expression: str, active: tuple[str, ...], entry: Entry) -> bool:
    tokens = _TOKEN.findall(expression)[::-1]
    try:
        holds = _either(tokens, active)
    except (IndexError, RecursionError):
        tokens = ["incomplete"]
    if tokens:
        expected = "a profile, or an expression of them as prod & (eu | !us)"
        raise SettingsRefused([Problem(entry.origin, entry.name, f"={expression!r}", expected)])
    return holds


def _either(tokens: list[str], active: tuple[str, ...]) -> bool:
    holds = _both(tokens, active)
    while tokens and tokens[-1] == "|":
        tokens.pop()
        holds = _both(tokens, active) or holds
    return holds


def _both(tokens: list[str], active: tuple[str, ...]) -> bool:
    """`&` binds closer than `|`."""
    holds = _one(tokens, active)
    while tokens and tokens[-1] == "&":
        tokens.pop()
        holds = _one(tokens, active) and holds
    return holds


def _one(tokens: list[str], active: tuple[str, ...]) -> bool:
    match token := tokens.pop():
        case "!":
            return not _one(tokens, active)
        case "(":
            holds = _either(tokens, active)
            if tokens.pop() != ")":
                raise IndexError
            return holds
        case "&" | "|" | ")":
            raise IndexError
        case _:
            return token in active
