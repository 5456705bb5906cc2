"""What somebody wrote, with the line of each part; and what is wrong with it, by file, line and path."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Node(NamedTuple):
    """`value`: a dict or list of Nodes, or a scalar as YAML reads it."""

    value: Any
    line: int


class Problem(NamedTuple):
    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}: {self.message}"


class BadDefinition(ValueError):
    """Says all that is wrong, one problem a line."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Spot:
    """One place in the tree. What is wrong below it is collected, so that all of it is told at once."""

    def __init__(self, node: Node, path: str, file: str, problems: list[Problem]) -> None:
        self.node, self.path, self.file, self.problems = node, path, file, problems

    @property
    def value(self) -> Any:
        return self.node.value

    def wrong(self, message: str) -> None:
        self.problems.append(Problem(self.file, self.node.line, self.path, message))

    def unexpected(self, expected: str) -> None:
        self.wrong(f"expected {expected}, not {_shown(self.value)}")

    def field(self, name: str) -> Spot:
        """The object's field; the object itself where it has none."""
        inner = self.value.get(name, self.node) if isinstance(self.value, dict) else self.node
        return Spot(inner, f"{self.path}.{name}".removeprefix("."), self.file, self.problems)

    def items(self) -> list[Spot]:
        found = enumerate(self.value)
        return [Spot(node, f"{self.path}[{index}]", self.file, self.problems) for index, node in found]

    def text(self, pattern: str, expected: str) -> str:
        if isinstance(self.value, str) and re.fullmatch(pattern, self.value):
            return self.value
        self.unexpected(expected)
        return ""

    def whole(self, least: int) -> int:
        if isinstance(self.value, int) and not isinstance(self.value, bool) and self.value >= least:
            return self.value
        self.unexpected(f"a whole number of at least {least}")
        return least

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.unexpected("true or false")
        return self.value is True

    def json(self) -> Any:
        """The tree below, without lines."""
        match self.value:
            case dict():
                return {name: self.field(name).json() for name in self.value}
            case list():
                return [item.json() for item in self.items()]
            case None | bool() | str() | int():
                return self.value
            case float() if self.value - self.value == 0:
                return self.value
        self.unexpected("what JSON can say")
        return None

    def object(self, readers: Mapping[str, Callable[[Spot], Any]], required: tuple[str, ...]) -> dict[str, Any]:
        """What its fields say, each by its reader; what is missing or unknown is told."""
        if not isinstance(self.value, dict):
            self.unexpected("an object")
            return {}
        for name in required:
            if name not in self.value:
                self.field(name).wrong("missing")
        for name in self.value.keys() - readers.keys():
            self.field(name).wrong(_unknown(name, readers))
        return {name: readers[name](self.field(name)) for name in self.value if name in readers}


def _unknown(name: str, readers: Mapping[str, object]) -> str:
    near = get_close_matches(str(name), readers, n=1)
    return f"unknown field; did you mean {near[0]}?" if near else f"unknown field; known are {', '.join(readers)}"


def _shown(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case None:
            return "nothing"
    return repr(value)
