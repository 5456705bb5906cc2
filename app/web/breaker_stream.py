"""GET /actuator/streamcircuitbreakerevents: as CircuitBreakerServerSideEvent streams, many listeners on one reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from app.engine.tail import Seen
from app.telemetry.logs import log

from .ask import refuse_others
from .breaker_events import Told, told_by, unless_known, wanted_type
from .problem import Problem, kafka_answering
from .service import Service

PING_S = 1.0
BEHIND = 1_000  # events that a listener may be behind
PING = b"event:ping\n\n"
HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

Frame = tuple[Told, bytes]


@dataclass(eq=False)
class Listener:
    """`drop` ends it once it is too far behind. None in `frames`: there is no more."""

    drop: Callable[[], None]
    frames: asyncio.Queue[Frame | None] = field(default_factory=lambda: asyncio.Queue(BEHIND))
    dropped: bool = False

    def hand(self, frame: Frame) -> None:
        if self.dropped:
            return
        try:
            self.frames.put_nowait(frame)
        except asyncio.QueueFull:
            log.warning("listener_dropped", behind=BEHIND)
            self.dropped = True
            self.drop()

    def end(self) -> None:
        if self.frames.full():
            self.frames.get_nowait()
        self.frames.put_nowait(None)


class Stream:
    """The topics are read while anybody listens, once for all of them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._listeners: set[Listener] = set()
        self._reading: AsyncExitStack | None = None
        self._changing = asyncio.Lock()
        self._closed = False

    @asynccontextmanager
    async def listen(self, drop: Callable[[], None]) -> AsyncIterator[Listener]:
        """Once it is entered, everything is heard that is committed."""
        listener = Listener(drop)
        async with kafka_answering(), self._changing:
            if self._reading is None:
                reading = AsyncExitStack()
                await reading.enter_async_context(self._service.following(self._hand))
                self._reading = reading
            self._listeners.add(listener)
        if self._closed:
            listener.end()
        try:
            yield listener
        finally:
            async with self._changing:
                self._listeners.discard(listener)
                if not self._listeners and self._reading is not None:
                    await self._reading.aclose()
                    self._reading = None

    def close(self) -> None:
        self._closed = True
        for listener in self._listeners:
            listener.end()

    def _hand(self, seen: Seen) -> None:
        for told in told_by(seen, self._service):
            frame = told, framed(told)
            for listener in self._listeners:
                listener.hand(frame)


STREAM = web.AppKey("stream", Stream)


async def close(app: web.Application) -> None:
    app[STREAM].close()


def framed(told: Told) -> bytes:
    """As Spring writes a ServerSentEvent."""
    name, body = " ".join(told.breaker.splitlines()), msgspec.json.encode(told.shown())
    return b"id:%s\nevent:%s\ndata:%s\n\n" % (name.encode(), told.type.encode(), body)


async def stream(request: web.Request) -> web.StreamResponse:
    refuse_others(request, ())
    name, type_ = request.match_info.get("name"), wanted_type(request)
    if name is not None and (elsewhere := await unless_known(request, name)):
        return elsewhere
    if request.transport is None:
        raise Problem(503, "the connection is lost")
    async with request.app[STREAM].listen(request.transport.abort) as listener:
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        with suppress(ConnectionError):
            await _pass_on(response, listener, lambda told: name in (None, told.breaker) and type_ in (None, told.type))
        return response


async def _pass_on(response: web.StreamResponse, listener: Listener, wanted: Callable[[Told], bool]) -> None:
    ping_at = asyncio.get_running_loop().time() + PING_S
    while True:
        try:
            async with asyncio.timeout_at(ping_at):
                frame = await listener.frames.get()
        except TimeoutError:
            ping_at += PING_S
            await response.write(PING)
            continue
        if frame is None:
            return
        told, text = frame
        if wanted(told):
            await response.write(text)
