"""How long and how large what others say may be (contract 1.6)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

LONGEST_NAME, LONGEST_ERROR = 1_024, 4_096  # characters

Natural = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
Word = Annotated[str, Meta(max_length=LONGEST_NAME)]
