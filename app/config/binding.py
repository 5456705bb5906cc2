"""Entries to values: each entry finds its key, by relaxed names; what finds none is refused or named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from app.config.catalogue import ALIASES, CATALOGUE, STRICT
from app.config.documents import Entry, resolve, words
from app.config.errors import Problem
from app.config.keys import Effect, Key
from app.config.units import Unsupported, uniform

SECRET = re.compile(r"password|secret|token|jaas|credential", re.IGNORECASE)
# What Kubernetes sets in every pod for a service named `iopt`; fault points; where a checkout keeps its local Kafka.
NOT_SETTINGS = re.compile(r"IOPT_(SERVICE_(HOST|PORT).*|PORT_\d+_.*|FAULT|VAR)")
Resolve = Callable[[str], str]

BY_NAME = {key.name: key for key in CATALOGUE}
UNIFORM = [(key, tuple(map(uniform, key.segments))) for key in CATALOGUE]


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
        return "******" if SECRET.search(self.name) else self.text


@dataclass(slots=True)
class Bound:
    """Values by key and by the name that stood for `*` ("" without one)."""

    values: dict[tuple[str, str], Value] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def get(self, key: str, name: str = "") -> Any:
        """The value; else the default, None if there is none."""
        found = self.values.get((key, name))
        return default(BY_NAME[key]) if found is None else found.value

    def origin(self, key: str, name: str = "") -> str | None:
        found = self.values.get((key, name))
        return None if found is None else found.origin

    def named(self, prefix: str) -> list[str]:
        """The names that stand for the `*` after the prefix, in the order of the file."""
        return list(dict.fromkeys(name for key, name in self.values if name and key.startswith(prefix)))


def default(key: Key) -> Any:
    if key.default is None or (key.default == "" and not key.kind.many):
        return None
    return tuple(map(key.kind.parse, words(key.default))) if key.kind.many else key.kind.parse(key.default)


def bind(entries: Iterable[Entry], env: Mapping[str, str]) -> Bound:
    """Later entries win over earlier ones, the environment over them, its short names over all."""
    bound = Bound()
    found = list(entries)
    texts = {entry.uniform: entry.value for entry in found if isinstance(entry.value, str)}
    own_names = {uniform(match[1]): match[1] for entry in found if (match := find(entry.path)) and match[1]}
    for entry in [*found, *_from_environment(env, own_names), *_aliases(env)]:
        _bind_one(entry, lambda text: resolve(text, texts, env), bound)
    bound.notices = list(dict.fromkeys(bound.notices))
    return bound


def find(path: tuple[str, ...]) -> tuple[Key, str] | None:
    """The key of a path, and what stands for its `*`. The most special key wins."""
    plain = tuple(map(uniform, path))
    for key, own in UNIFORM:
        name = _matched(own, path, plain)
        if name is not None:
            return key, name
    return None


def _matched(own: tuple[str, ...], path: tuple[str, ...], plain: tuple[str, ...]) -> str | None:
    if own[-1] == "**":
        return ".".join(path[len(own) - 1 :]) if plain[: len(own) - 1] == own[:-1] and len(path) >= len(own) else None
    if "*" not in own:
        return "" if plain == own else None
    star = own.index("*")
    tail = own[star + 1 :]
    if len(path) < len(own) or plain[:star] != own[:star] or plain[-len(tail) :] != tail:
        return None
    return ".".join(path[star : -len(tail)])


def _bind_one(entry: Entry, resolved: Resolve, bound: Bound) -> None:
    match = find(entry.path)
    if match is None:
        _unknown(entry, bound)
    elif match[0].effect is Effect.REFUSED:
        bound.problems.append(Problem(entry.origin, entry.name, f" is not supported: {match[0].meaning}"))
    elif entry.value is not None:
        _bind_known(*match, entry, resolved, bound)


def _bind_known(key: Key, name: str, entry: Entry, resolved: Resolve, bound: Bound) -> None:
    written = entry.value if isinstance(entry.value, str) else ",".join(entry.value or ())
    try:
        text = resolved(written)
    except LookupError as missing:
        what = f": nothing is named {missing.args[0]}: set it, or write ${{{missing.args[0]}:default}}"
        bound.problems.append(Problem(entry.origin, entry.name, what))
        return
    try:
        value = _parsed(key, text, isinstance(entry.value, tuple))
    except (ValueError, LookupError) as error:
        reason = f"={text} {error}" if isinstance(error, Unsupported) else f"={text!r}: expected {key.kind.expected}"
        bound.problems.append(Problem(entry.origin, entry.name, reason))
        return
    full = key.name.replace("**", name).replace("*", name)
    bound.values[key.name, name] = Value(full, key, text, value, entry.origin)
    if key.effect is Effect.IDLE:
        bound.notices.append(f"{full}: accepted, without effect here ({entry.origin})")


def _parsed(key: Key, text: str, is_list: bool) -> Any:
    if not key.kind.many:
        if is_list and key.effect is Effect.USED:
            raise ValueError
        return key.kind.parse(text.strip())
    value = tuple(map(key.kind.parse, words(text)))
    if key.default and not value:
        raise ValueError
    return value


def _unknown(entry: Entry, bound: Bound) -> None:
    if entry.value is None and _begins_a_key(entry):
        return
    strict = (entry.uniform + ".").startswith(STRICT)
    if strict:
        bound.problems.append(Problem(entry.origin, entry.name, f" is not known{_nearest(entry)}"))
    else:
        bound.notices.append(f"{entry.name}: not known, passed over ({entry.origin})")


def _begins_a_key(entry: Entry) -> bool:
    plain = tuple(map(uniform, entry.path))
    return any(
        all(own in (spelled, "*", "**") for own, spelled in zip(key, plain, strict=False))
        for _, key in UNIFORM
        if len(key) > len(plain)
    )


def _nearest(entry: Entry) -> str:
    candidates = {
        uniform(full): full
        for key in CATALOGUE
        if key.effect is not Effect.REFUSED
        for full in _spelled(key, entry.path)
    }
    close = get_close_matches(entry.uniform, candidates, n=1, cutoff=0.6)
    return f"; nearest: {candidates[close[0]]}" if close else ""


def _spelled(key: Key, path: tuple[str, ...]) -> Iterator[str]:
    if "*" not in key.segments:
        yield key.name.replace(".**", "")
    elif len(path) > (star := key.segments.index("*")):
        yield key.name.replace("*", path[star])


def _aliases(env: Mapping[str, str]) -> Iterator[Entry]:
    for variable, name in ALIASES.items():
        text = env.get(variable, "")
        if text.strip() and not text.startswith("tcp://"):  # Kubernetes' IOPT_PORT, of a service named iopt
            yield Entry(tuple(name.split(".")), text, variable)


def _from_environment(env: Mapping[str, str], own_names: Mapping[str, str]) -> Iterator[Entry]:
    plain = {uniform(key.name.replace(".", "")): key for key in CATALOGUE if "*" not in key.name}
    for variable, text in env.items():
        if not text.strip() or variable in ALIASES or NOT_SETTINGS.fullmatch(variable) or not variable.isupper():
            continue
        strict = variable.startswith(("IOPT_", "RESILIENCE4J_"))
        if key := plain.get(uniform(variable)):
            yield Entry(key.segments, text, variable)
        elif strict or variable.startswith("SPRING_KAFKA_"):
            yield _with_a_name(variable, text, own_names) or Entry(_guessed(variable), text, variable)


def _with_a_name(variable: str, text: str, own_names: Mapping[str, str]) -> Entry | None:
    """`IOPT_PARTICIPANTS_PAYMENT_SERVICE_COMMANDS`: a name that the file has, else its words joined by dashes."""
    for key in sorted(CATALOGUE, key=lambda key: -len(key.segments[-1])):
        head, star, tail = key.name.partition("*")
        pattern = f"{_loose(head)}(.+?)_?{_loose(tail)}" if star and tail != "*" else ""
        if pattern and (match := re.fullmatch(pattern, variable)):
            spelled = match[1].strip("_")
            name = own_names.get(uniform(spelled), spelled.lower().replace("_", "-"))
            return Entry((*head.strip(".").split("."), name, *tail.strip(".").split(".")), text, variable)
    return None


def _loose(name: str) -> str:
    return "_?".join(re.escape(letter) for letter in re.sub(r"[^A-Z0-9]", "", name.upper())) + ("_?" if name else "")


def _guessed(variable: str) -> tuple[str, ...]:
    return tuple(variable.lower().split("_"))
