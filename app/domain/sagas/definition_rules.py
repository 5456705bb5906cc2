"""What a definition must not say, though each of its parts is well written (contract 3.2, 3.6 and 8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .definition import Definition, Emit, Step
from .definition_tree import Spot
from .mapping import expression


def check(definition: Definition, root: Spot) -> None:
    """What is wrong is told to the tree that the definition was read from."""
    spots = root.field("steps").items()
    _each_once(definition.steps, spots)
    for index, step in enumerate(definition.steps):
        _names_differ(step, spots[index])
        _in_time(step, definition, spots[index])
        _knows(step.data or {}, [before.step for before in definition.steps[:index]], spots[index].field("data"))
    for name, emit in (("on_completed", definition.on_completed), ("on_compensated", definition.on_compensated)):
        if emit is not None:
            _does_not_start_itself(emit, definition, root.field(name))
            _knows([emit.key, emit.data], [step.step for step in definition.steps], root.field(name))


def _each_once(steps: Sequence[Step], spots: Sequence[Spot]) -> None:
    first: dict[str, Spot] = {}
    for step, spot in zip(steps, spots, strict=True):
        before = first.setdefault(step.step, spot)
        if before is not spot:
            spot.field("step").wrong(f"{step.step} is the name of {before.path} too (line {before.node.line})")


def _names_differ(step: Step, spot: Spot) -> None:
    seen: dict[str, str] = {}
    for action in ("do", "undo", "query"):
        named = getattr(step, action)
        if named is None:
            continue
        before = seen.setdefault(named.name, action)
        if before != action:
            spot.field(action).wrong(f"{named.name} is the name of its {before} too; do, undo and query must differ")


def _in_time(step: Step, definition: Definition, spot: Spot) -> None:
    deadline_ms = definition.deadline_ms
    if step.deadline_ms is not None and step.deadline_ms > deadline_ms:
        spot.field("deadline").wrong(f"{step.deadline_ms} ms, longer than the saga's deadline, {deadline_ms} ms")
    limit_ms = deadline_ms if step.deadline_ms is None else min(step.deadline_ms, deadline_ms)
    if step.timeout_ms > limit_ms:
        spot.field("timeout").wrong(f"{step.timeout_ms} ms, longer than the deadline, {limit_ms} ms")


def _knows(written: Any, before: Sequence[str], spot: Spot) -> None:
    """A mapping may name the steps that are certainly done by then."""
    for path in _paths(written):
        if path[0] == "steps" and path[1] not in before:
            spot.wrong(f"${{{'.'.join(path)}}}: no step {path[1]} before this; there are {', '.join(before) or 'none'}")


def _paths(written: Any) -> Iterator[tuple[str, ...]]:
    match written:
        case str():
            path = expression(written)
            if path is not None:
                yield path
        case Mapping():
            for value in written.values():
                yield from _paths(value)
        case list() | tuple():
            for value in written:
                yield from _paths(value)


def _does_not_start_itself(emit: Emit, definition: Definition, spot: Spot) -> None:
    for trigger in definition.start.on:
        if trigger.type == emit.type and emit.topic in (None, trigger.topic):
            spot.wrong(f"{emit.type} on {trigger.topic} starts this very saga")
