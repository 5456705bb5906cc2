"""What is wrong with the settings, all of it at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`where` is `application.yml:12` or the name of a variable, `field` the setting as it was spelled there."""

    where: str
    field: str
    what: str
    expected: str = ""

    @property
    def message(self) -> str:
        return f"{self.field}{self.what}" + (f": expected {self.expected}" if self.expected else "")

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.field else f"{self.where}{self.message}"


class SettingsRefused(ValueError):
    """Nothing has been started. The message has one line for each problem."""

    def __init__(self, problems: Iterable[Problem], notices: Iterable[str] = ()) -> None:
        self.problems, self.notices = tuple(problems), tuple(notices)
        super().__init__("\n".join(map(str, self.problems)))
