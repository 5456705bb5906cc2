"""Written settings to values: durations, numbers, words, and the dotted names of Python's own things."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from fractions import Fraction
from functools import reduce
from importlib.util import find_spec
from typing import Any

import msgspec
from msgspec import inspect

from ..domain.duration import EXPECTED, duration_ms
from .families import Setting

NS = {"ns": 1, "us": 1_000, "µs": 1_000}


class Wrong(ValueError):
    """The message says what was expected."""


def value_of(setting: Setting, written: Any) -> Any:
    """Raises Wrong."""
    if setting.unit:
        return _bounded(setting, _duration(setting.unit, written))
    if "type[" in str(setting.type):
        return tuple(_exception(name) for name in _listed(written))
    if "Callable" in str(setting.type):
        return _function(written)
    if setting.name.endswith("Exceptions"):
        return tuple(_name_of_exception(str(name)) for name in _listed(written))
    if "tuple" in str(setting.type):
        return tuple(map(str, _listed(written)))
    return _bounded(setting, written)


def _bounded(setting: Setting, value: Any) -> Any:
    if isinstance(value, str) and (words := _words(setting.type)):
        value = {_uniform(word): word for word in words}.get(_uniform(value), value)
    try:
        return msgspec.convert(value, setting.type, strict=False)
    except msgspec.ValidationError as error:
        raise Wrong(_expected(setting, error)) from error


def _duration(unit: str, written: Any) -> int:
    try:
        if unit == "ms":
            return duration_ms(written)
        if isinstance(written, str) and written.strip()[-2:] in NS:
            ns = Fraction(written.strip()[:-2]) * NS[written.strip()[-2:]]
            if ns.denominator == 1:
                return int(ns)
        return duration_ms(written) * 1_000_000
    except ValueError as error:
        raise Wrong(EXPECTED if unit == "ms" else EXPECTED.replace("500ms", "500ns, 10us, 500ms")) from error


def _listed(written: Any) -> list[Any]:
    if isinstance(written, str):
        return [name.strip() for name in written.split(",") if name.strip()]
    if isinstance(written, Iterable):
        return list(written)
    raise Wrong("expected a list")


def _exception(name: Any) -> type[BaseException]:
    found = _named(name) if isinstance(name, str) else name
    if isinstance(found, type) and issubclass(found, BaseException):
        return found
    raise Wrong(f"{name!r}: expected a Python exception, as TimeoutError or httpx.TransportError")


def _name_of_exception(name: str) -> str:
    """One that an error may have. A class of Java's would never be met, and its breaker never open."""
    package, dot, _ = name.partition(".")
    if dot and package not in sys.modules and not (package and find_spec(package)):
        raise Wrong(f"{name!r}: there is no module {package}; expected a Python exception, as TimeoutError")
    return name


def _function(name: Any) -> Any:
    found = _named(name) if isinstance(name, str) else name
    if callable(found):
        return found
    raise Wrong("expected a function, or its name, as shop.retries.is_busy")


def _named(name: str) -> Any:
    """None: there is nothing of that name."""
    module, _, rest = name.rpartition(".")
    tail: list[str] = [rest]
    while module:
        try:
            return reduce(getattr, tail, importlib.import_module(module))
        except AttributeError:
            return None
        except ModuleNotFoundError:
            module, _, rest = module.rpartition(".")
            tail.insert(0, rest)
    return getattr(importlib.import_module("builtins"), name, None)


def _words(type_: Any) -> list[str]:
    info = inspect.type_info(type_)
    if isinstance(info, inspect.EnumType):
        return [str(member.value) for member in info.cls]
    return [str(value) for value in info.values] if isinstance(info, inspect.LiteralType) else []


def _expected(setting: Setting, error: msgspec.ValidationError) -> str:
    if words := _words(setting.type):
        return f"expected {' or '.join(words)}"
    if setting.type is bool:
        return "expected true or false"
    said = str(error)
    return said[0].lower() + said[1:]


def _uniform(text: str) -> str:
    return text.lower().replace("-", "").replace("_", "")
