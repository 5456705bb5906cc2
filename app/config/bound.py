"""What was set: values by their settings, each with where it was said."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from app.config.catalogue import CATALOGUE
from app.config.entries import words
from app.config.errors import Problem
from app.config.keys import Key

DEFAULT_ORIGIN = "default"

_SECRET = re.compile(
    r"password|secret|token|jaas(?!\.(enabled|login|control))|credential|api-?key|key[-_]?store[-_.]?key$",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_MASK = "******"

BY_NAME = {key.name: key for key in CATALOGUE}


@dataclass(frozen=True, slots=True)
class Value:
    """`name` is the catalogue's, with the user's own name in the place of `*`."""

    name: str
    key: Key
    text: str
    value: Any
    origin: str

    @property
    def shown(self) -> str:
        return masked(self.name, self.text)


@dataclass(slots=True)
class Bound:
    """Values by key and by the name that stood for `*` ("" without one)."""

    values: dict[tuple[str, str], Value] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def get(self, key: str, name: str = "") -> Any:
        """The value; else the default, None if there is none."""
        return self.effective(key, name).value

    def effective(self, key: str, name: str = "") -> Value:
        found = self.values.get((key, name))
        return defaulted(BY_NAME[key], name) if found is None else found

    def origin(self, key: str, name: str = "") -> str | None:
        found = self.values.get((key, name))
        return None if found is None else found.origin

    def named(self, prefix: str) -> list[str]:
        """The names that stand for the `*` after the prefix, in the order of the file."""
        return list(dict.fromkeys(name for key, name in self.values if name and key.startswith(prefix)))


def masked(name: str, text: str) -> str:
    return _MASK if _SECRET.search(name) else _USER_INFO.sub(_MASK, text)


def defaulted(key: Key, name: str = "") -> Value:
    return Value(full_name(key, name), key, key.default or "", default(key), DEFAULT_ORIGIN)


def default(key: Key) -> Any:
    if key.default is None or (key.default == "" and not key.kind.many):
        return None
    return tuple(map(key.kind.parse, words(key.default))) if key.kind.many else key.kind.parse(key.default)


def full_name(key: Key, name: str) -> str:
    """A name with dots in it as Spring spells it, in brackets."""
    if "**" in key.name:
        return key.name.replace("**", name)
    return key.name.replace("*", f"[{name}]" if re.search(r"[^\w-]", name) else name)
