"""Texts of settings to values: durations and sizes as Spring writes them, numbers, words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.domain.duration import duration_ms

SIZE_BYTES = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}  # binary, as Spring's DataSize has them

_SIMPLE = re.compile(r"(\d+)\s*([a-z]*)", re.IGNORECASE)
_FINE = re.compile(r"(\d+)\s*(ns|us)", re.IGNORECASE)
_FINE_NS = {"ns": 1, "us": 1_000}
_FLAGS = dict.fromkeys(("true", "on", "yes", "1"), True) | dict.fromkeys(("false", "off", "no", "0"), False)


@dataclass(frozen=True, slots=True)
class Kind:
    """`parse` raises ValueError, without a word or with the reason; `expected` is for the message."""

    expected: str
    parse: Callable[[str], Any]
    many: bool = False


class Unsupported(ValueError):
    """It means something, but that is not done here; the text says what to write instead."""


def size_bytes(text: str) -> int:
    found = _SIMPLE.fullmatch(text)
    if found is None:
        raise ValueError
    return int(found[1]) * SIZE_BYTES[found[2].lower().replace("ib", "b")]


def duration(least_ms: int = 0) -> Kind:
    bound = f" of at least {least_ms} ms" if least_ms else ""
    return Kind(f"a duration{bound}, as 30s, 1m, PT30S, 500ms or bare milliseconds", _at_least(duration_ms, least_ms))


def fine_duration(least_ns: int = 0) -> Kind:
    """In ns, for what Resilience4j counts in them."""
    return Kind("a duration, as 500ns, 10us, 30s, PT30S or bare milliseconds", _at_least(_nanoseconds, least_ns))


def size(least: int = 1) -> Kind:
    return Kind(f"a size of at least {least} bytes, as 256KB, 4MB or bare bytes", _at_least(size_bytes, least))


def whole(least: int, most: int | None = None) -> Kind:
    def parse(text: str) -> int:
        value = int(text) if re.fullmatch(r"-?\d+", text) else None
        if value is None or value < least or (most is not None and value > most):
            raise ValueError
        return value

    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    return Kind(f"a whole number {bounds}", parse)


def number(least: float, most: float | None = None, *, above: bool = False, below: bool = False) -> Kind:
    """`above`, `below`: `least` or `most` itself is not allowed."""

    def parse(text: str) -> float:
        value = float(text) if re.fullmatch(r"\d+(\.\d*)?", text) else None
        if value is None or value < least or (above and value == least):
            raise ValueError
        if most is not None and (value > most or (below and value == most)):
            raise ValueError
        return value

    upper = "" if most is None else f", {'below' if below else 'at most'} {most:g}"
    return Kind(f"a number {'above' if above else 'of at least'} {least:g}{upper}", parse)


def word(*allowed: str, unsupported: tuple[str, ...] = ()) -> Kind:
    """One of few words; upper or lower case, `-` or `_`. Those `unsupported` exist elsewhere, but not here."""
    known = {uniform(each): each for each in allowed}

    def parse(text: str) -> str:
        if uniform(text) in map(uniform, unsupported):
            raise Unsupported(f"is not supported; expected {' or '.join(allowed)}")
        return known[uniform(text)]

    return Kind(" or ".join(allowed), parse)


def only(kind: Kind, text: str) -> Kind:
    """What is fixed today, and may be said."""

    def parse(given: str) -> Any:
        if kind.parse(given) != kind.parse(text):
            raise Unsupported(f"is not supported yet; expected {text}")
        return kind.parse(text)

    return Kind(text, parse)


def matching(pattern: str, expected: str) -> Kind:
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError
        return text

    return Kind(expected, parse)


def many(kind: Kind) -> Kind:
    return Kind(f"a list, each {kind.expected}", kind.parse, many=True)


def flag_of(text: str) -> bool:
    return _FLAGS[text.lower()]


def uniform(text: str) -> str:
    """Spring's relaxed binding: camel case, kebab case and underscores are one."""
    return text.lower().replace("-", "").replace("_", "")


def _nanoseconds(text: str) -> int:
    found = _FINE.fullmatch(text)
    return int(found[1]) * _FINE_NS[found[2].lower()] if found else duration_ms(text) * 1_000_000


def _at_least(parse: Callable[[str], int], least: int) -> Callable[[str], int]:
    def bounded(text: str) -> int:
        value = parse(text)
        if value < least:
            raise ValueError
        return value

    return bounded


CLASS = matching(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*", "the name of a class")
TEXT = matching(r"[\s\S]+", "a text that is not empty")
ANY = matching(r"[\s\S]*", "anything")
FLAG = Kind("true or false", flag_of)
