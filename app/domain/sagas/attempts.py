"""Whether and when a command is sent once more."""

from __future__ import annotations

from .messages import Error
from .saga_state import Wait
from .turn import Answer, Turn


def again(turn: Turn, answer: Answer, limit_ms: int | None) -> bool:
    """Pause before the next attempt; False if there is none, or none before the limit."""
    opened = turn.saga.open
    assert opened is not None, "only what is awaited is tried again"
    tries = opened.tries if opened.action == "query" else opened.attempt
    retry = turn.retry(turn.definition.steps[opened.index], opened.action)
    pause_ms = retry.pause_ms(tries, answer.command.text)
    if pause_ms is None:
        return False
    if answer.error is not None and answer.error.retry_after_ms is not None:
        pause_ms = answer.error.retry_after_ms
    until_ms = turn.now_ms + pause_ms
    if limit_ms is not None and until_ms >= limit_ms:
        return False
    turn.pause(opened, Wait.SILENCE if answer.outcome == "timeout" else Wait.PAUSE, until_ms)
    return True


def error_of(answer: Answer) -> Error:
    if answer.outcome == "timeout":
        return Error("iopt.timeout", f"no reply within {answer.duration_ms} ms")
    return answer.error or Error(answer.outcome)
