"""The errors that the golden tables name, as a tree of exceptions."""

from __future__ import annotations


class Failure(Exception):
    pass


class NetworkError(Failure):
    pass


class TimedOut(NetworkError):
    pass


class BadRequest(Failure):
    pass


class NotFound(BadRequest):
    pass


FAILURES: dict[str, type[Failure]] = {
    "Failure": Failure,
    "NetworkError": NetworkError,
    "TimeoutError": TimedOut,
    "BadRequest": BadRequest,
    "NotFound": NotFound,
}
NAMES = {failure: name for name, failure in FAILURES.items()}


def covering(names: list[str]) -> tuple[type[Failure], ...]:
    return tuple(FAILURES[name] for name in names)
