"""`sasl.jaas.config`, as Kafka's JaasConfig reads it: one login module, a flag, options, a semicolon."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}

_OPTION = r"""([\w.$-]+)\s*=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"';=]+)"""
_CONFIG = re.compile(
    rf"\s*([\w.$-]+)\s+(?:required|requisite|sufficient|optional)((?:\s+{_OPTION})*)\s*;\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Login:
    module: str
    options: Mapping[str, str] = field(repr=False)


def read(text: str) -> Login:
    """Raises ValueError without a word of the text: it has a password in it."""
    found = _CONFIG.fullmatch(text)
    if found is None:
        raise ValueError("not in the form of JAAS")
    return Login(found[1], {name: _plain(value) for name, value in re.findall(_OPTION, found[2])})


def usual(mechanism: str) -> str:
    """How it is to be written, for messages."""
    return f'{MODULES[mechanism]} required username="..." password="...";'


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] in "\"'" else value
