"""What `data:` of a step or an event says: literals, and `${...}` over what the saga knows (contract 8).

Values are cut out of the JSON as text, so `49.90` stays `49.90`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

SAGA_WORDS = ("id", "name", "key", "version")

_WHOLE = re.compile(r"\$\{(.*)\}", re.DOTALL)
_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_PATH = re.compile(rf"start(?:\.{_NAME})*|steps\.{_NAME}\.data(?:\.{_NAME})*|saga\.(?:{'|'.join(SAGA_WORDS)})")
_OBJECT = msgspec.json.Decoder(dict[str, Raw])


class Unmapped(Exception):
    """An expression names what is not there."""


@lru_cache(maxsize=4096)
def expression(text: str) -> tuple[str, ...] | None:
    """The path in a wholly `${...}` string; None for a literal. Raises ValueError for any other expression."""
    whole = _WHOLE.fullmatch(text.strip())
    if whole is None:
        return None
    path = whole.group(1).strip()
    if not _PATH.fullmatch(path):
        raise ValueError(f"{text!r}: expected ${{start.<path>}}, ${{steps.<STEP>.data.<path>}} or ${{saga.id}}")
    return tuple(path.split("."))


def business_path(text: str) -> tuple[str, ...]:
    """`orderId` or `$.order.id`, as names. Raises ValueError."""
    path = text.removeprefix("$.").split(".")
    if not all(re.fullmatch(_NAME, name) for name in path) or (len(path) > 1 and not text.startswith("$.")):
        raise ValueError(f"{text!r}: expected a field such as orderId, or a path such as $.order.id")
    return tuple(path)


def mapped(template: Mapping[str, Any], known: Callable[[tuple[str, ...]], Raw]) -> bytes:
    """Raises Unmapped."""
    return encoded(_resolved(template, known))


def _resolved(template: Any, known: Callable[[tuple[str, ...]], Raw]) -> Any:
    match template:
        case str():
            path = expression(template)
            return template if path is None else known(path)
        case Mapping():
            return {name: _resolved(value, known) for name, value in template.items()}
        case list() | tuple():
            return [_resolved(value, known) for value in template]
    return template


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


def decoded(value: Raw) -> object:
    return msgspec.json.decode(value)


def as_json(value: str | int) -> Raw:
    return Raw(encoded(value))


def pick(document: bytes | Raw, path: Sequence[str]) -> Raw:
    """The JSON text that stands at `path`. Raises Unmapped."""
    found = Raw(document) if isinstance(document, bytes) else document
    for depth, name in enumerate(path):
        try:
            found = _OBJECT.decode(found)[name]
        except (KeyError, msgspec.MsgspecError) as error:
            raise Unmapped(f"$.{'.'.join(path[: depth + 1])}: not there") from error
    return found
