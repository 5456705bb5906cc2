"""How a policy's fields are spelled in settings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

AtLeast0 = Annotated[int, Meta(ge=0)]
AtLeast1 = Annotated[int, Meta(ge=1)]


def setting(field: str) -> str:
    """`max_wait_duration_ms` is `maxWaitDuration`: the unit is the reader's matter."""
    first, *rest = field.removesuffix("_ms").removesuffix("_ns").split("_")
    return first + "".join(map(str.capitalize, rest))
