"""A TCP proxy before one broker: it forwards, and can cut, stall, slow and reset what runs through it.

It lives in a thread with a loop of its own, so that a test steers it by plain calls; each returns when it holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
STEER_S = 10.0
PIECE_BYTES = 1 << 16
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST, and what is on its way is lost


class Proxy:
    def __init__(self, port: int, target_port: int) -> None:
        self.port, self.target_port = port, target_port
        self.accepted = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._pairs: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._latency_s, self._bytes_a_second = 0.0, 0.0

    def start(self) -> None:
        self._thread.start()
        self._steer(self._listen())

    def end(self) -> None:
        self._steer(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STEER_S)
        self._loop.close()

    @property
    def connections(self) -> int:
        return len(self._pairs)

    def cut(self) -> None:
        """Nobody is connected, and whoever tries is refused, until `heal`."""
        self._steer(self._cut())

    def heal(self) -> None:
        """Forwards as at the beginning."""
        self._steer(self._heal())

    def stall(self) -> None:
        """Nothing moves in either direction, and no connection ends. New ones are accepted, and stall too."""
        self._steer(self._stall())

    def slow(self, *, latency_ms: float = 0, bytes_a_second: float = 0) -> None:
        """Each piece is held for so long before it goes on; 0 bytes a second: as many as there are."""
        self._steer(self._slow(latency_ms / 1000, bytes_a_second))

    def reset(self) -> None:
        """Every connection ends with RST, as when a firewall forgets them; new ones are let through."""
        self._steer(self._drop())

    def _steer(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(STEER_S)

    async def _listen(self) -> None:
        self._flowing.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _end(self) -> None:
        await self._cut()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    async def _cut(self) -> None:
        await self._stop_listening()
        await self._drop()

    async def _heal(self) -> None:
        self._latency_s, self._bytes_a_second = 0.0, 0.0
        self._flowing.set()
        if self._server is None:
            await self._listen()

    async def _stall(self) -> None:
        self._flowing.clear()

    async def _slow(self, latency_s: float, bytes_a_second: float) -> None:
        self._latency_s, self._bytes_a_second = latency_s, bytes_a_second

    async def _drop(self) -> None:
        for writer in self._open:
            end: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            writer.transport.abort()
        for pair in self._pairs:
            pair.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        pair = asyncio.ensure_future(self._join(reader, writer))
        self._pairs.add(pair)
        pair.add_done_callback(self._pairs.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Where the broker is away the client sees its connection end, as it would without a proxy."""
        self._open.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._open.add(far_writer)
            try:
                ways = self._carry(reader, far_writer), self._carry(far_reader, writer)
                await asyncio.gather(*ways)
            finally:
                self._close(far_writer)
        except OSError:
            return
        finally:
            self._close(writer)

    def _close(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until one side ends: then both do."""
        while piece := await reader.read(self._piece_bytes()):
            if self._latency_s or self._bytes_a_second:
                await asyncio.sleep(self._latency_s + self._takes_s(len(piece)))
            await self._flowing.wait()
            writer.write(piece)
            await writer.drain()
        raise ConnectionResetError

    def _piece_bytes(self) -> int:
        """A tenth of a second's worth, so that a slow line flows rather than bursts."""
        return min(PIECE_BYTES, int(self._bytes_a_second / 10) or PIECE_BYTES)

    def _takes_s(self, size: int) -> float:
        return size / self._bytes_a_second if self._bytes_a_second else 0.0


@contextmanager
def proxy(port: int, target_port: int) -> Iterator[Proxy]:
    between = Proxy(port, target_port)
    between.start()
    try:
        yield between
    finally:
        between.end()
