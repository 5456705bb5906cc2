"""Durations as people write them: `30s`, `1m30s`, `PT30S`, or bare milliseconds."""

from __future__ import annotations

import re
from fractions import Fraction

EXPECTED = "expected a duration such as 500ms, 30s, 15m, 2h, 7d, PT30S, or whole milliseconds"

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIMPLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)
_SIMPLE_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_ISO = re.compile(r"P(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?", re.ASCII)
_ISO_PART = re.compile(r"(\d+(?:\.\d+)?)([DHMS])", re.ASCII)


def duration_ms(written: object) -> int:
    """Raises ValueError for what is no duration, or no whole number of milliseconds."""
    if isinstance(written, int) and not isinstance(written, bool) and written >= 0:
        return int(written)
    if isinstance(written, str):
        text = written.strip()
        if text.isascii() and text.isdigit():
            return int(text)
        if _SIMPLE.fullmatch(text):
            return _sum(_SIMPLE_PART.findall(text), written)
        if _ISO.fullmatch(text.upper()) and text[-1].isalpha() and text[1:]:
            return _sum(_ISO_PART.findall(text.upper()), written)
    raise ValueError(f"{written!r}: {EXPECTED}")


def _sum(parts: list[tuple[str, str]], written: str) -> int:
    total = sum((Fraction(number) * _UNIT_MS[unit.lower()] for number, unit in parts), Fraction(0))
    if total.denominator != 1:
        raise ValueError(f"{written!r}: {EXPECTED}")
    return int(total)
