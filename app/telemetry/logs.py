"""Log lines as events with fields: text on a terminal, JSON elsewhere. Those of Faust and mode come the same way."""

from __future__ import annotations

import logging
import logging.config
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

Style = Literal["auto", "json", "console"]

# INFO of theirs is about themselves
QUIET = ("aiokafka", "app.engine.group.transport", "faust", "mode", "aiohttp.access", "asyncio")

log: FilteringBoundLogger = structlog.get_logger()


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
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours", "stream": "ext://sys.stderr"}},
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
