"""Saga definitions in YAML files, read with the line of each part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from app.domain.sagas.definition import Definition, canonical
from app.domain.sagas.definition_reading import definition_of
from app.domain.sagas.definition_tree import BadDefinition, Node, Problem

SUFFIXES = (".yaml", ".yml")


def load_definitions(paths: Iterable[str | Path]) -> list[Definition]:
    """Of files, and of the YAML files in directories. Raises BadDefinition, for all files at once, and OSError."""
    found: dict[str, tuple[Definition, str]] = {}
    problems: list[Problem] = []
    for path in _files(paths):
        try:
            for definition in read_definitions(path.read_text(encoding="utf-8"), str(path)):
                before, file = found.setdefault(definition.id, (definition, str(path)))
                if canonical(before) != canonical(definition):
                    problems.append(Problem(str(path), 1, "version", f"{definition.id} is another one in {file}"))
        except BadDefinition as bad:
            problems += bad.problems
    if problems:
        raise BadDefinition(problems)
    return [definition for definition, _ in found.values()]


def read_definitions(text: str, file: str) -> list[Definition]:
    """One a document. Raises BadDefinition."""
    try:
        documents = list(YAML(typ="rt").load_all(StringIO(text)))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadDefinition([Problem(file, line, "YAML", str(error.problem))]) from error
    except YAMLError as error:
        raise BadDefinition([Problem(file, 1, "YAML", str(error))]) from error
    return [definition_of(_node(document, 1), file) for document in documents if document is not None]


def _files(paths: Iterable[str | Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
        else:
            yield path


def _node(value: Any, line: int) -> Node:
    match value:
        case CommentedMap():
            return Node({str(key): _node(inner, _line(value, key, line)) for key, inner in value.items()}, line)
        case CommentedSeq():
            return Node([_node(inner, _line(value, index, line)) for index, inner in enumerate(value)], line)
        case bool() | None:
            return Node(value, line)
        case str() | int() | float():
            return Node(next(kind for kind in (str, int, float) if isinstance(value, kind))(value), line)
    return Node(value, line)


def _line(of: CommentedMap | CommentedSeq, key: Any, otherwise: int) -> int:
    """From 1; what came by a merge key has no place of its own."""
    place = (of.lc.data or {}).get(key)
    return otherwise if place is None else int(place[0]) + 1
