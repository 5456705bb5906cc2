"""Log lines as events with fields: text on a terminal, JSON elsewhere. Those of Faust and mode come the same way."""

from __future__ import annotations

import logging
import logging.config
import sys
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

Style = Literal["auto", "json", "console"]

# INFO of theirs is about themselves
QUIET = ("aiokafka", "app.engine.group.transport", "faust", "mode", "aiohttp.access", "asyncio")

REPEAT_S, MOST_LINES = 10.0, 1_000

log: FilteringBoundLogger = structlog.get_logger()


class Repeats(logging.Filter):
    """Each line of that logger, whatever its arguments, once in ten seconds; `repeated`: how often it was held back.

    While a broker is away aiokafka tells of each try, some twenty times a second.
    """

    def __init__(self, name: str = "", clock: Callable[[], float] = monotonic) -> None:
        super().__init__(name)
        self._clock = clock
        self._told: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not super().filter(record):
            return True
        line, now = (record.name, record.levelno, str(record.msg)), self._clock()
        at, held = self._told.get(line, (now - REPEAT_S, 0))
        if now - at < REPEAT_S:
            self._told[line] = at, held + 1
            return False
        if len(self._told) >= MOST_LINES:  # of a library that formats its lines itself
            self._told.clear()
        self._told[line] = now, 0
        if held:
            record.repeated = held
        return True


def configure(style: Style = "auto", level: str = "INFO") -> None:
    """Raises ValueError for a level that logging does not know."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r}: expected one of {', '.join(logging.getLevelNamesMapping())}")
    logging.config.dictConfig(logging_config(style, level))
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *_stamps(), *_renderers(style, sys.stderr)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def logging_config(style: Style = "auto", level: str = "INFO") -> dict[str, Any]:
    """For `logging.config.dictConfig`, and for the workers of Faust and mode."""
    quiet = {"level": max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()])}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "ours": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [_logger_name, structlog.stdlib.ExtraAdder(), *_stamps()],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *_renderers(style, sys.stderr),
                ],
            }
        },
        "filters": {"repeats": {"()": Repeats, "name": "aiokafka"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "ours",
                "filters": [] if level.upper() == "DEBUG" else ["repeats"],
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {} if level.upper() == "DEBUG" else dict.fromkeys(QUIET, quiet),
    }


def _stamps() -> list[Processor]:
    return [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]


def _renderers(style: Style, stream: TextIO) -> list[Processor]:
    if style == "console" or (style == "auto" and stream.isatty()):
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]


def _json(event: Mapping[str, Any], **_: Any) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()


def _logger_name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    event["logger"] = record.name
    return event
