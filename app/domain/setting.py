"""How a policy's fields are spelled in settings, and that they are within their bounds."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

AtLeast0 = Annotated[int, Meta(ge=0)]
AtLeast1 = Annotated[int, Meta(ge=1)]


def setting(field: str) -> str:
    """`max_wait_duration_ms` is `maxWaitDuration`: the unit is the reader's matter."""
    first, *rest = field.removesuffix("_ms").removesuffix("_ns").split("_")
    return first + "".join(map(str.capitalize, rest))


def check_bounds(policy: msgspec.Struct) -> None:
    """ValueError for a number or a word that its field does not take: msgspec itself looks only where it decodes."""
    for name, type_ in _fields(type(policy)):
        value = getattr(policy, name)
        if isinstance(value, int | float | str):
            try:
                msgspec.convert(value, type_)
            except msgspec.ValidationError as error:
                said = str(error).replace("`", "")
                raise ValueError(f"{name}={value!r}: {said[0].lower()}{said[1:]}") from error


@cache
def _fields(policy: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, field.type) for field in msgspec.structs.fields(policy))
