"""application.yml to entries: what is set, where, in the documents that the active profiles choose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from app.config.errors import Problem, SettingsRefused
from app.config.units import uniform

ON_PROFILE = "spring.config.activate.onprofile"
ACTIVE = "spring.profiles.active"
DEPTH = 40


@dataclass(frozen=True, slots=True)
class Entry:
    """One value as it was written; None where nothing was written after the key."""

    path: tuple[str, ...]
    value: str | tuple[str, ...] | None
    origin: str

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def uniform(self) -> str:
        return uniform(self.name)


def read(file: Path, profiles: tuple[str, ...] | None = None) -> list[Entry]:
    """Entries of the documents that count, in order, and of `<file>-<profile>` beside it for each active profile.

    `profiles` are those of the environment; without them the file's own `spring.profiles.active` counts.
    Raises SettingsRefused.
    """
    documents = list(_documents(file))
    active = _active(documents) if profiles is None else profiles
    beside = [file.with_stem(f"{file.stem}-{profile}") for profile in active]
    documents += [document for each in beside if each.exists() for document in _documents(each)]
    return [entry for document in documents if _counts(document, active) for entry in document]


def _documents(file: Path) -> Iterator[list[Entry]]:
    try:
        text = file.read_text("utf-8")
        roots: list[Node | None] = list(YAML().compose_all(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsRefused([Problem(f"{file}:{line}", "", f": not YAML: {error.problem}")]) from error
    except (OSError, UnicodeError, YAMLError) as error:
        raise SettingsRefused([Problem(str(file), "", f": cannot be read: {error}")]) from error
    for root in roots:
        if root is not None and not _is_empty(root):
            yield list(_walk(root, (), file))


def _walk(node: Node, path: tuple[str, ...], file: Path) -> Iterator[Entry]:
    origin = f"{file}:{node.start_mark.line + 1}"
    if len(path) > DEPTH:
        raise SettingsRefused([Problem(origin, ".".join(path[:4]), f"...: nested more than {DEPTH} deep")])
    if isinstance(node, MappingNode) and node.value:
        for key, value in _pairs(node, file):
            yield from _walk(value, (*path, *_segments(key.value)), file)
    elif isinstance(node, SequenceNode) and all(isinstance(item, ScalarNode) for item in node.value):
        yield Entry(path, tuple(str(item.value) for item in node.value), origin)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*path, f"[{index}]"), file)
    else:
        yield Entry(path, None if _is_empty(node) else str(node.value), origin)


def _pairs(node: MappingNode, file: Path) -> Iterable[tuple[ScalarNode, Node]]:
    """Its keys and values, with those of `<<` where it has none of its own."""
    own: dict[str, tuple[ScalarNode, Node]] = {}
    merged: dict[str, tuple[ScalarNode, Node]] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise SettingsRefused([Problem(f"{file}:{line}", "", ": expected a name before the colon")])
        if str(key.tag).endswith(":merge"):
            for each in value.value if isinstance(value, SequenceNode) else [value]:
                merged = {pair[0].value: pair for pair in _pairs(each, file)} | merged
        elif uniform(key.value) in own:
            raise SettingsRefused([Problem(f"{file}:{line}", key.value, " is given twice in one map")])
        else:
            own[uniform(key.value)] = key, value
    return [pair for name, pair in merged.items() if uniform(name) not in own] + list(own.values())


def _segments(key: str) -> list[str]:
    """`a.b` is two; `[a.b]` is one name with a dot in it."""
    return [bracket or plain for bracket, plain in re.findall(r"\[([^\]]*)\]|([^.\[\]]+)", key)]


def _is_empty(node: Node) -> bool:
    return not node.value if not isinstance(node, ScalarNode) else str(node.tag).endswith(":null")


def _active(documents: list[list[Entry]]) -> tuple[str, ...]:
    found = [entry for document in documents for entry in document if entry.uniform == ACTIVE]
    return words(found[-1].value) if found else ()


def _counts(document: list[Entry], active: tuple[str, ...]) -> bool:
    wanted = [entry for entry in document if entry.uniform == ON_PROFILE]
    return not wanted or any(_matches(choice, active or ("default",)) for choice in words(wanted[-1].value))


def _matches(expression: str, active: tuple[str, ...]) -> bool:
    """`prod`, `!prod`, `prod & eu`, `prod | test`; `&` binds closer."""
    alternatives = ([term.strip() for term in part.split("&")] for part in expression.split("|"))
    return any(all((term[:1] != "!") == (term.lstrip("! ") in active) for term in terms) for terms in alternatives)


def words(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """A list as YAML writes it, or as a text with commas."""
    parts = value.split(",") if isinstance(value, str) else value or ()
    return tuple(part.strip() for part in parts if part.strip())


def resolve(text: str, known: Mapping[str, str], env: Mapping[str, str], depth: int = 0) -> str:
    """`${NAME:default}` by the environment, then by the settings (`known`, uniform names). Raises LookupError."""
    start = text.rfind("${")
    while start >= 0:
        end = text.find("}", start)
        if end < 0 or depth > DEPTH:
            raise LookupError(text[start:])
        name, colon, default = text[start + 2 : end].partition(":")
        found = env.get(name, known.get(uniform(name)))
        if found is None and not colon:
            raise LookupError(name)
        value = default if found is None else resolve(found, known, env, depth + 1)
        text = text[:start] + value + text[end + 1 :]
        start = text.rfind("${", 0, start)
    return text
