"""Settings in Spring's shape, as Resilience4j's starters read them: `resilience4j.<family>.instances.<name>`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import structs

from .families import ASPECT_ORDERS, FAMILIES, OF_SPRING, Family, Found
from .values import Wrong, value_of

ROOT = "resilience4j"
DEFAULT = "default"
BASE = "baseConfig"
GROUPS = ("instances", "configs")
ORDER = ("retry", "circuitbreaker", "ratelimiter", "timelimiter", "bulkhead")  # Resilience4j's, outermost first

Tree = Mapping[str, Any]


class SettingsRefused(ValueError):
    """One line for each problem: the path, what stands there, what was expected."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Settings:
    """Reads what stands below `resilience4j`, and nothing else. SettingsRefused names all that is wrong at once.

    Names in camel or kebab case; durations as 30s, 1m, PT30S or bare ms; `${NAME:default}` is taken from `env`.
    A policy is found field by field: `instances.<name>`, the entry of `configs` that its `baseConfig` names and what
    that begins with, `instances.default` (and its base), `configs.default`, Resilience4j's default. A breaker has
    no `instances.default`, has the entry of `configs` of its own name, and `configs.default` only without a base.
    """

    def __init__(self, mapping: Tree, env: Mapping[str, str] = os.environ) -> None:
        self._env = env
        self._problems: list[str] = []
        self._entries: dict[tuple[str, str, str], Found] = {}
        self._orders: dict[str, int] = {}
        for family, tree in self._families(mapping):
            self._read_family(family, tree)
        self._check_bases()
        self._check_policies()
        if self._problems:
            raise SettingsRefused(self._problems)

    @property
    def order(self) -> tuple[str, ...]:
        """Outermost first; a lower aspect order is further out, as in Spring."""
        usual = {family: n - len(ORDER) for n, family in enumerate(ORDER)}
        largest = 2**31 - 1
        return tuple(sorted(ORDER, key=lambda family: self._orders.get(family, largest + usual[family])))

    def names(self, family: str) -> list[str]:
        """Those with an entry of their own."""
        return [name for of, group, name in self._entries if (of, group) == (family, "instances")]

    def policy(self, family: str, name: str) -> Any | None:
        """None where no entry speaks for the name: then that family takes no part in its calls."""
        of = FAMILIES[family]
        layers = self._layers(of, name)
        if not layers:
            return None
        merged: Found = {}
        for layer in reversed(layers):
            merged |= layer
        if of.together:
            first = next((layer for layer in layers if of.together[0] in layer), {})
            merged = {key: value for key, value in merged.items() if key not in of.together or key in first}
            merged |= {key: first[key] for key in of.together if key in first}
        merged.pop(BASE, None)
        named = {field.encode_name: field.name for field in structs.fields(of.policy)}
        return of.policy(**{named[key]: value for key, value in of.finished(merged).items()})

    def _layers(self, family: Family, name: str) -> list[Found]:
        """Nearest first."""
        own = self._chain(family, "instances", name)
        if family.inherits:
            inherited = self._chain(family, "instances", DEFAULT) if name != DEFAULT else []
            return [*own, *inherited, *self._chain(family, "configs", DEFAULT)]
        if own and BASE in own[0]:
            return own
        base = name if (family.name, "configs", name) in self._entries else DEFAULT
        return [*own, *self._chain(family, "configs", base)]

    def _entry(self, family: Family, group: str, name: str) -> Found | None:
        return self._entries.get((family.name, group, name))

    def _chain(self, family: Family, group: str, name: str) -> list[Found]:
        """The entry, what it begins with, and so on; each once."""
        found: list[Found] = []
        entry = self._entry(family, group, name)
        while entry is not None and not any(entry is known for known in found):
            found.append(entry)
            entry = self._entry(family, "configs", entry.get(BASE, ""))
        return found

    def _families(self, mapping: Tree) -> Iterator[tuple[Family, Tree]]:
        known = {_uniform(name): family for name, family in FAMILIES.items()}
        mapping = self._map("settings", mapping)
        for name in mapping:
            if _uniform(name) in known:
                self._problems.append(f"{name}: expected below {ROOT}")
        for name, tree in self._map(ROOT, mapping.get(ROOT)).items():
            if family := known.get(_uniform(name)):
                yield family, self._map(f"{ROOT}.{name}", tree)
            elif _uniform(name) not in ("scheduled", "micrometer"):
                self._unknown(f"{ROOT}.{name}", name, [*FAMILIES])

    def _read_family(self, family: Family, tree: Tree) -> None:
        path = f"{ROOT}.{family.name}"
        order = ASPECT_ORDERS.get(family.name, "")
        for name, below in tree.items():
            if name in GROUPS:
                for entry, fields in self._map(f"{path}.{name}", below).items():
                    found = self._read(family, f"{path}.{name}.{entry}", fields)
                    self._entries[family.name, name, str(entry)] = found
            elif _uniform(name) == _uniform(order):
                self._read_order(family, f"{path}.{name}", below)
            elif name not in ("metrics", "tags"):
                self._unknown(f"{path}.{name}", name, [*GROUPS, order])

    def _read_order(self, family: Family, path: str, written: Any) -> None:
        try:
            self._orders[family.name] = msgspec.convert(self._resolved(written), int, strict=False)
        except (Wrong, msgspec.ValidationError):
            self._problems.append(f"{path}={written!r}: expected a whole number")

    def _read(self, family: Family, path: str, fields: Any) -> Found:
        known = {_uniform(setting.name): setting for setting in family.settings}
        found: Found = {}
        for name, written in self._map(path, fields).items():
            if _uniform(name) == _uniform(BASE):
                found[BASE] = str(written)
            elif setting := known.get(_uniform(name)):
                try:
                    found[setting.name] = value_of(setting, self._resolved(written))
                except Wrong as wrong:
                    self._problems.append(f"{path}.{name}={written!r}: {wrong}")
            elif _uniform(name) not in map(_uniform, OF_SPRING):
                self._unknown(f"{path}.{name}", name, [setting.name for setting in family.settings])
        return found

    def _resolved(self, written: Any) -> Any:
        """Spring finds `payment.url` as PAYMENT_URL too."""
        if not isinstance(written, str):
            return written

        def look(match: re.Match[str]) -> str:
            spelled = re.sub(r"[^A-Z0-9]", "_", match[1].upper())
            found = self._env.get(match[1], self._env.get(spelled, match[2]))
            if found is None:
                raise Wrong(f"nothing is named {match[1]}: set it, or write ${{{match[1]}:default}}")
            return found

        return re.sub(r"\$\{([^}:]+)(?::([^}]*))?\}", look, written)

    def _map(self, path: str, written: Any) -> Tree:
        """What stands there; nothing is an empty one."""
        if written is None or isinstance(written, Mapping):
            return written or {}
        self._problems.append(f"{path}={written!r}: expected a map")
        return {}

    def _check_bases(self) -> None:
        for (family, group, name), fields in self._entries.items():
            base = fields.get(BASE)
            if base is not None and (family, "configs", base) not in self._entries:
                known = [entry for of, kind, entry in self._entries if (of, kind) == (family, "configs")]
                expected = f"one of {', '.join(known)}" if known else f"an entry of {ROOT}.{family}.configs"
                self._problems.append(f"{ROOT}.{family}.{group}.{name}.{BASE}={base!r}: expected {expected}")

    def _check_policies(self) -> None:
        """What the fields together must not be."""
        for family, group, name in () if self._problems else self._entries:
            if group == "instances":
                try:
                    self.policy(family, name)
                except (ValueError, TypeError) as error:
                    self._problems.append(f"{ROOT}.{family}.{group}.{name}: {error}")

    def _unknown(self, path: str, name: str, known: list[str]) -> None:
        by_uniform = {_uniform(each): each for each in known}
        close = get_close_matches(_uniform(name), by_uniform, n=1, cutoff=0.6)
        self._problems.append(f"{path} is not known" + (f"; nearest: {by_uniform[close[0]]}" if close else ""))


def _uniform(text: object) -> str:
    """Spring's relaxed binding: camel case, kebab case and underscores are one."""
    return str(text).lower().replace("-", "").replace("_", "")
