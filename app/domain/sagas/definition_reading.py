"""From what somebody wrote to a Definition: short and long forms, units, names (contract 1.1 and 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..duration import duration_ms
from ..retry import DAY_MS, RetryPolicy
from .definition import Beginning, Definition, Emit, Named, Step, Trigger
from .definition_rules import check
from .definition_tree import BadDefinition, Node, Problem, Spot
from .mapping import business_path, expression

LONGEST_MS = 3650 * DAY_MS

NAME = r"[a-z][a-z0-9-]{0,62}"
STEP_NAME = r"[A-Za-z][A-Za-z0-9_]{0,62}"
TYPE = r"(?!iopt\.)[a-z][a-z0-9._-]*"
TOPIC = r"[A-Za-z0-9._-]{1,249}"


def definition_of(tree: Node, file: str) -> Definition:
    """Raises BadDefinition."""
    problems: list[Problem] = []
    root = Spot(tree, "", file, problems)
    found = root.object(_DEFINITION, ("saga", "version", "start", "steps"))
    if not problems:
        definition = Definition(**{_FIELDS.get(name, name): value for name, value in found.items()})
        check(definition, root)
        if not problems:
            return definition
    raise BadDefinition(sorted(problems, key=lambda problem: problem.line))


def _name(spot: Spot) -> str:
    return spot.text(NAME, "small letters, digits and -, at most 63")


def _step_name(spot: Spot) -> str:
    return spot.text(STEP_NAME, "letters, digits and _, at most 63")


def _type(spot: Spot) -> str:
    return spot.text(TYPE, "small letters, digits and . _ -, not beginning with iopt.")


def _topic(spot: Spot) -> str:
    return spot.text(TOPIC, "the name of a topic")


def _any_text(spot: Spot) -> str:
    return spot.text(r"(?s).+", "text")


def _ms(spot: Spot, least: int = 1) -> int:
    try:
        found = duration_ms(spot.value)
    except ValueError as error:
        spot.wrong(str(error))
        return least
    if not least <= found <= LONGEST_MS:
        spot.unexpected(f"{least}ms to {LONGEST_MS // DAY_MS}d")
    return found


def _pause_ms(spot: Spot) -> int:
    return _ms(spot, 0)


def _number(least: float, below: float) -> Callable[[Spot], float]:
    def read(spot: Spot) -> float:
        value = spot.value
        if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < below:
            return float(value)
        spot.unexpected(f"a number of at least {least:g} and below {below:g}")
        return least

    return read


def _named(spot: Spot) -> Named:
    """`undo: x`, or `undo: {name: x}`."""
    if isinstance(spot.value, dict):
        return Named(spot.object({"name": _type}, ("name",)).get("name", ""))
    return Named(_type(spot))


def _key(spot: Spot) -> str:
    text = _any_text(spot)
    try:
        business_path(text)
    except ValueError as error:
        spot.wrong(str(error))
    return text


def _data(spot: Spot) -> dict[str, Any]:
    if not isinstance(spot.value, dict):
        spot.unexpected("an object")
        return {}
    _expressions(spot)
    found: dict[str, Any] = spot.json()
    return found


def _expressions(spot: Spot) -> None:
    match spot.value:
        case dict():
            for name in spot.value:
                _expressions(spot.field(name))
        case list():
            for item in spot.items():
                _expressions(item)
        case str():
            _text_or_expression(spot)


def _text_or_expression(spot: Spot) -> str:
    text = _any_text(spot) if spot.value != "" else ""
    try:
        expression(text)
    except ValueError as error:
        spot.wrong(str(error))
    return text


def _trigger(spot: Spot) -> Trigger:
    found = spot.object({"topic": _topic, "type": _any_text}, ("topic", "type"))
    return Trigger(found.get("topic", ""), found.get("type", ""))


def _triggers(spot: Spot) -> tuple[Trigger, ...]:
    """One, or a list."""
    if isinstance(spot.value, list) and spot.value:
        return tuple(map(_trigger, spot.items()))
    return (_trigger(spot),)


def _start(spot: Spot) -> Beginning:
    found = spot.object({"on": _triggers, "key": _key}, ("on", "key"))
    return Beginning(found.get("on", ()), found.get("key", ""))


def _retry(spot: Spot) -> RetryPolicy:
    found = spot.object(_RETRY | {_kebab(name): reader for name, reader in _RETRY.items()}, ())
    plain = {_RETRY_FIELDS[_kebab(name)]: value for name, value in found.items()}
    return RetryPolicy(**plain)


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)


def _emit(spot: Spot) -> Emit:
    """`on_completed: x`, or `on_completed: {type: x, ...}`."""
    if not isinstance(spot.value, dict):
        return Emit(type=_type(spot))
    readers = {"type": _type, "topic": _topic, "key": _text_or_expression, "data": _data}
    return Emit(**({"type": ""} | spot.object(readers, ("type",))))


def _steps(spot: Spot) -> tuple[Step, ...]:
    if not isinstance(spot.value, list) or not spot.value:
        spot.unexpected("a list of at least one step")
        return ()
    return tuple(step for step in map(_step, spot.items()) if step is not None)


def _step(spot: Spot) -> Step | None:
    kind = next(iter(spot.value), None) if isinstance(spot.value, dict) else None
    if kind in _LATER_KINDS:
        spot.field(kind).wrong("steps of this kind are not supported yet")
        return None
    before = len(spot.problems)
    found = spot.object(_STEP, ("step", "to", "do"))
    if len(spot.problems) > before:
        return None
    return Step(**{_FIELDS.get(name, name): value for name, value in found.items()})


def _later(spot: Spot) -> None:
    spot.wrong("not supported yet")


def _whole(spot: Spot) -> int:
    return spot.whole(1)


_LATER_KINDS = ("parallel", "each", "wait", "saga")
_RETRY: dict[str, Callable[[Spot], Any]] = {
    "maxAttempts": _whole,
    "waitDuration": _pause_ms,
    "exponentialBackoffMultiplier": _number(1, 1_000),
    "exponentialMaxWaitDuration": _pause_ms,
    "randomizedWaitFactor": _number(0, 1),
}
_RETRY_FIELDS = dict(
    zip(map(_kebab, _RETRY), ("max_attempts", "wait_ms", "multiplier", "max_wait_ms", "randomized"), strict=True)
)
_STEP: Mapping[str, Callable[[Spot], Any]] = {
    "step": _step_name,
    "to": _name,
    "do": _named,
    "undo": _named,
    "query": _named,
    "data": _data,
    "timeout": _ms,
    "deadline": _ms,
    "retry": _retry,
    "undo_timeout": _ms,
    "undo_retry": _retry,
} | dict.fromkeys(("pivot", "completes_on", "fails_on", "undone_on"), _later)
_FIELDS = {
    "timeout": "timeout_ms",
    "undo_timeout": "undo_timeout_ms",
    "deadline": "deadline_ms",
    "retention": "retention_ms",
}
_DEFINITION: Mapping[str, Callable[[Spot], Any]] = {
    "saga": _name,
    "version": _whole,
    "start": _start,
    "deadline": _ms,
    "retention": _ms,
    "keep_data": Spot.flag,
    "steps": _steps,
    "on_completed": _emit,
    "on_compensated": _emit,
} | dict.fromkeys(("on_in_debt", "sensitive", "events"), _later)
