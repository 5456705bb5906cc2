"""What every demo is played in: a directory and a Kafka of its own; then it is told how it ended."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from deploy.demo.shop import NotFresh
from deploy.demo.stage import CHECKOUT
from deploy.kafka import NoKafka, local_kafka

Told = dict[str, Any]


def run(
    play: Callable[[Path, str], Coroutine[Any, Any, Told]],
    show: Callable[[Told], None],
    console: Console,
    *,
    keep: bool,
    json: bool,
) -> int:
    """0 if what `play` tells `holds`. What was written stays where it does not, or with `keep`."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # as Ctrl-C
    directory = _new_directory()
    try:
        with local_kafka(directory / "kafka") as kafka:
            told = asyncio.run(play(directory, kafka))
        keep = keep or not told["holds"]
    except (NoKafka, NotFresh) as error:
        console.print(str(error), highlight=False)
        return 1
    finally:
        _leave(directory, keep, console)
    if json:
        sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        show(told)
    return 0 if told["holds"] else 1


def _new_directory() -> Path:
    (CHECKOUT / "var").mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="demo-", dir=CHECKOUT / "var"))


def _leave(directory: Path, keep: bool, console: Console) -> None:
    if keep:
        console.print(f"Kept: {directory}", highlight=False, soft_wrap=True)
    else:
        shutil.rmtree(directory)
