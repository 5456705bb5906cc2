"""Variables to entries: IOPT_... and Spring's spelling, where dots are `_` and dashes are `_` or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from app.config.catalogue import ALIASES, CATALOGUE
from app.config.entries import Entry
from app.config.keys import Key
from app.config.units import uniform

# What Kubernetes sets in every pod for a service named `iopt`; fault points; where a checkout keeps its local Kafka.
_NOT_SETTINGS = re.compile(r"IOPT_(SERVICE_(HOST|PORT).*|PORT_\d+_.*|FAULT|VAR)")
_PLACE = re.compile(r"(.+?)_(\d+)_?")

_PLAIN = {uniform(key.name.replace(".", "")): key for key in CATALOGUE if "*" not in key.name}


def short_names(env: Mapping[str, str]) -> Iterator[Entry]:
    """IOPT_KAFKA and IOPT_PORT."""
    for variable, name in ALIASES.items():
        text = env.get(variable, "")
        if text.strip() and not text.startswith("tcp://"):  # Kubernetes' IOPT_PORT, of a service named iopt
            yield Entry(tuple(name.split(".")), text, variable)


def variables(env: Mapping[str, str], own_names: Iterable[str]) -> Iterator[Entry]:
    """`own_names` are those that the files have in the place of `*`: a variable cannot say how they are written."""
    spelled = {_plain(name): name for name in own_names}
    for variable, text in env.items():
        if not text.strip() or variable in ALIASES or _NOT_SETTINGS.fullmatch(variable) or not variable.isupper():
            continue
        strict = variable.startswith(("IOPT_", "RESILIENCE4J_"))
        if found := _settled(variable, text) or _place(variable, text):
            yield found
        elif strict or variable.startswith("SPRING_KAFKA_"):
            yield _with_a_name(variable, text, spelled) or Entry(tuple(variable.lower().split("_")), text, variable)


def _settled(variable: str, text: str) -> Entry | None:
    key = _PLAIN.get(uniform(variable))
    return None if key is None else Entry(key.segments, text, variable)


def _place(variable: str, text: str) -> Entry | None:
    """`IOPT_DEFINITIONS_0`"""
    match = _PLACE.fullmatch(variable)
    key = _PLAIN.get(uniform(match[1])) if match else None
    return Entry((*key.segments, f"[{match[2]}]"), text, variable) if match and key and key.kind.many else None


def _with_a_name(variable: str, text: str, spelled: Mapping[str, str]) -> Entry | None:
    """`IOPT_PARTICIPANTS_PAYMENT_SERVICE_COMMANDS`: a name that the files have, else its words joined by dashes."""
    for key in _LONGEST_FIRST:
        head, _, tail = key.name.partition("*")
        if match := re.fullmatch(f"{_loose(head)}(.+?)_?{_loose(tail)}", variable):
            own = match[1].strip("_")
            name = spelled.get(_plain(own), own.lower().replace("_", "-"))
            return Entry((*head.strip(".").split("."), name, *tail.strip(".").split(".")), text, variable)
    return None


def _named_keys() -> list[Key]:
    keys = [key for key in CATALOGUE if "*" in key.segments and "**" not in key.segments]
    return sorted(keys, key=lambda key: -len(key.segments[-1]))


_LONGEST_FIRST = _named_keys()


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _loose(name: str) -> str:
    return "_?".join(re.escape(letter) for letter in re.sub(r"[^A-Z0-9]", "", name.upper())) + ("_?" if name else "")
