"""Where the parts meet: settings, definitions and agents become one running worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from app.config import Settings
from app.config import load as load_settings
from app.domain.sagas.definition_tree import BadDefinition
from app.engine.fatal import fatal
from app.engine.group.slots import NoSlot
from app.engine.service import FAILED, REFUSED, Around, Worker
from app.engine.startup import BrokerError, NotReady
from app.engine.topology import TopologyError
from app.telemetry import logs, metrics
from app.telemetry.logs import log
from app.web.server import serve
from app.wire.definitions import load_definitions
from app.worker.answers import Answers
from app.worker.definitions import OtherContent, publish
from app.worker.hangup import hear
from app.worker.plan import plan_of
from app.worker.reload import Reload, settle


def run(settings: Settings, read: Callable[[], Settings], *, leave: bool = False) -> int:
    """Until SIGTERM; returns 0, 1 when it refuses to start, 4 when the broker goes away meanwhile.

    A failure later ends the process itself, with 3 or 4. On SIGHUP the settings are `read` anew."""
    logs.configure()
    try:
        asyncio.run(_run(settings, read, leave=leave))
    except (NotReady, NoSlot, TopologyError, BadDefinition, OtherContent, OSError) as refusal:
        log.error("worker_refused", error=str(refusal))
        return REFUSED
    except BrokerError as error:
        log.error("worker_failed", error=repr(error), exit_code=FAILED)
        return FAILED
    return 0


async def _run(settings: Settings, read: Callable[[], Settings], *, leave: bool) -> None:
    reload = Reload(settings, read)
    hear(reload.ask)
    for notice in settings.notices:
        log.warning("setting", notice=notice)
    own = load_definitions(settings.definitions)
    worker = Worker(plan_of(settings, own, leave=leave))
    await worker.check()
    metrics.BUILD.set((worker.plan.version,), 1)
    await worker.run(_serving(reload), lambda worker: publish(worker, own))


def _serving(reload: Reload) -> Around:
    @asynccontextmanager
    async def serving(worker: Worker) -> AsyncIterator[None]:
        host, port = reload.settings.host, worker.port
        assert port is not None
        runner = await serve(Answers(worker, lambda: reload.settings), host, port)
        log.info("http", url=f"http://{host}:{port}/actuator")
        following = asyncio.create_task(_following(worker, reload))
        try:
            yield
        finally:
            following.cancel()
            await runner.cleanup()

    return serving


async def _following(worker: Worker, reload: Reload) -> None:
    with fatal(worker.fail):
        await reload.follow(partial(settle, worker))


def __getattr__(name: str) -> Any:
    """`app`: for `faust -A app.worker agents`, which lists what a worker runs."""
    if name != "app":
        raise AttributeError(name)
    settings = load_settings()
    return Worker(plan_of(settings, load_definitions(settings.definitions))).listed()
