"""application.yml to entries: what is set, where, in the documents that the active profiles choose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from app.config.entries import Entry, folded, segments
from app.config.errors import Problem, SettingsRefused
from app.config.profiles import active_profiles, counts
from app.config.units import uniform

DEPTH = 40
Read = Entry | Problem
Pair = tuple[ScalarNode, Node]


def read(file: Path, over: list[Read]) -> list[Read]:
    """Entries of the documents that count, in order, and of `<file>-<profile>` beside it for each active profile.

    What the environment says `over` them names profiles too. Raises SettingsRefused for what is no YAML, or has no end.
    """
    documents = list(_documents(file))
    active = active_profiles([*documents, over])
    beside = [file.with_stem(f"{file.stem}-{profile}") for profile in active]
    documents += [document for each in beside if each.exists() for document in _documents(each)]
    return [found for document in documents if counts(document, active) for found in document]


def _documents(file: Path) -> Iterator[list[Read]]:
    try:
        text = file.read_text("utf-8")
        roots: list[Node | None] = list(YAML().compose_all(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsRefused([Problem(f"{file}:{line}", "", f": not YAML: {error.problem}")]) from error
    except (OSError, UnicodeError, YAMLError) as error:
        raise SettingsRefused([Problem(str(file), "", f": cannot be read: {error}")]) from error
    except RecursionError as error:
        raise SettingsRefused([Problem(str(file), "", f": nested more than {DEPTH} deep")]) from error
    for root in roots:
        if isinstance(root, MappingNode):
            yield list(folded(_walk(root, (), file)))
        elif root is not None and not _is_empty(root):
            found = "a list" if isinstance(root, SequenceNode) else "text"
            yield [Problem(f"{file}:{root.start_mark.line + 1}", "", f": expected names with values, found {found}")]


def _walk(node: Node, path: tuple[str, ...], file: Path) -> Iterator[Read]:
    origin = f"{file}:{node.start_mark.line + 1}"
    if len(path) > DEPTH:
        raise SettingsRefused([Problem(origin, ".".join(path[:4]), f"...: nested more than {DEPTH} deep")])
    if isinstance(node, MappingNode) and node.value:
        for found in _pairs(node, file):
            if isinstance(found, Problem):
                yield found
            else:
                yield from _walk(found[1], (*path, *segments(found[0].value)), file)
    elif isinstance(node, SequenceNode) and all(isinstance(item, ScalarNode) for item in node.value):
        yield Entry(path, tuple(str(item.value) for item in node.value), origin)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*path, f"[{index}]"), file)
    else:
        yield Entry(path, None if _is_empty(node) else str(node.value), origin)


def _pairs(node: MappingNode, file: Path) -> Iterable[Pair | Problem]:
    """Its keys and values, with those of `<<` where it has none of its own."""
    own: dict[str, Pair] = {}
    merged: dict[str, Pair] = {}
    problems: list[Problem] = []
    for key, value in node.value:
        origin = f"{file}:{key.start_mark.line + 1}"
        if not isinstance(key, ScalarNode):
            problems.append(Problem(origin, "", ": expected a name before the colon"))
        elif str(key.tag).endswith(":merge"):
            maps = [each for each in _maps(value) if isinstance(each, MappingNode)]
            merged = {pair[0].value: pair for each in maps for pair in _plain(_pairs(each, file))} | merged
        elif uniform(key.value) in own:
            problems.append(Problem(origin, key.value, " is given twice in one map"))
        else:
            own[uniform(key.value)] = key, value
    return [*problems, *(pair for name, pair in merged.items() if uniform(name) not in own), *own.values()]


def _maps(merged: Node) -> list[Node]:
    """Of several maps the first wins: last in the list."""
    return list(reversed(merged.value)) if isinstance(merged, SequenceNode) else [merged]


def _plain(pairs: Iterable[Pair | Problem]) -> Iterator[Pair]:
    """What is wrong in a merged map is told where it stands."""
    return (pair for pair in pairs if not isinstance(pair, Problem))


def _is_empty(node: Node) -> bool:
    return not node.value if not isinstance(node, ScalarNode) else str(node.tag).endswith(":null")


def resolve(text: str, known: Mapping[str, str], env: Mapping[str, str], depth: int = 0) -> str:
    """`${NAME:default}` by the environment, then by the settings (`known`, uniform names). Raises LookupError."""
    start = text.rfind("${")
    while start >= 0:
        end = text.find("}", start)
        if end < 0 or depth > DEPTH:
            raise LookupError(text[start:])
        name, colon, default = text[start + 2 : end].partition(":")
        found = _looked_up(name, known, env)
        if found is None and not colon:
            raise LookupError(name)
        value = default if found is None else resolve(found, known, env, depth + 1)
        text = text[:start] + value + text[end + 1 :]
        start = text.rfind("${", 0, start)
    return text


def _looked_up(name: str, known: Mapping[str, str], env: Mapping[str, str]) -> str | None:
    """The environment in both of Spring's spellings: `shop.data-dir` is SHOP_DATADIR or SHOP_DATA_DIR."""
    dotless = name.upper().replace(".", "_")
    for variable in (name, dotless.replace("-", ""), dotless.replace("-", "_")):
        if variable in env:
            return env[variable]
    return known.get(uniform(name))
