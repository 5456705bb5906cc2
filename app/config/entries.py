"""What is written in a file or in the environment, before it finds its setting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.config.errors import Problem
from app.config.units import uniform

_INDEX = re.compile(r"\[(\d+)\]")


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


def segments(key: str) -> list[str]:
    """`a.b` is two; `[a.b]` is one name with a dot in it; `a[0]` is a place in a list, and stays `[0]`."""
    found = re.findall(r"\[([^\]]*)\]|([^.\[\]]+)", key)
    return [f"[{bracket}]" if bracket.isdigit() else bracket or plain for bracket, plain in found]


def words(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """A list as YAML writes it, or as a text with commas."""
    parts = value.split(",") if isinstance(value, str) else value or ()
    return tuple(part.strip() for part in parts if part.strip())


def folded(found: Iterable[Entry | Problem]) -> Iterator[Entry | Problem]:
    """`a[0]`, `a[1]` of one source are one list `a`."""
    lists: dict[tuple[str, ...], list[Entry]] = {}
    for each in found:
        if isinstance(each, Entry) and len(each.path) > 1 and _INDEX.fullmatch(each.path[-1]) and each.value:
            lists.setdefault(tuple(map(uniform, each.path[:-1])), []).append(each)
        else:
            yield each
    yield from map(_list, lists.values())


def _list(entries: list[Entry]) -> Entry | Problem:
    by_place = {int(entry.path[-1][1:-1]): entry for entry in entries}
    last = by_place[max(by_place)]
    if max(by_place) >= len(by_place):
        return Problem(last.origin, last.name, "", "every place of the list from [0] on")
    return Entry(last.path[:-1], tuple(str(by_place[place].value) for place in sorted(by_place)), by_place[0].origin)
