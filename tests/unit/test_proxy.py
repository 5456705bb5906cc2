"""The proxy between workers and a broker does to a connection what its methods say."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from deploy.kafka import ports
from tests.support.kafka import wait_for
from tests.support.proxy import Proxy, proxy


@pytest.fixture
def between() -> Iterator[Proxy]:
    """Before a server that says everything back."""
    with socket.create_server(("127.0.0.1", 0)) as server, proxy(ports.free(1)[0], server.getsockname()[1]) as made:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield made


def serve(server: socket.socket) -> None:
    while True:
        try:
            taken, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=echo, args=(taken,), daemon=True).start()


def echo(taken: socket.socket) -> None:
    with taken:
        try:
            while said := taken.recv(1 << 16):
                taken.sendall(said)
        except OSError:
            return


def connected(between: Proxy, patience_s: float = 5.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", between.port), patience_s)


def said_back(line: socket.socket, what: bytes) -> bytes:
    line.sendall(what)
    found = b""
    while len(found) < len(what):
        found += line.recv(1 << 16)
    return found


def test_it_forwards_both_ways(between: Proxy) -> None:
    with connected(between) as line:
        assert said_back(line, b"x" * 300_000) == b"x" * 300_000


def test_what_is_cut_ends_and_nobody_connects_until_it_heals(between: Proxy) -> None:
    with connected(between) as line:
        assert said_back(line, b"before") == b"before"
        between.cut()
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connected(between)
    between.heal()
    with connected(between) as line:
        assert said_back(line, b"after") == b"after"


def test_what_is_stalled_waits_and_arrives_whole(between: Proxy) -> None:
    with connected(between, 0.3) as line:
        assert said_back(line, b"before") == b"before"
        between.stall()
        line.sendall(b"held")
        with pytest.raises(TimeoutError):
            line.recv(1)
        between.heal()
        line.settimeout(5)
        assert line.recv(10) == b"held"


def test_what_is_reset_ends_and_the_next_connection_is_let_through(between: Proxy) -> None:
    with connected(between) as line:
        assert said_back(line, b"before") == b"before"
        between.reset()
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    wait_for(lambda: between.connections == 0, "the connection to be gone")
    with connected(between) as line:
        assert said_back(line, b"after") == b"after"


def test_what_is_slowed_takes_its_time(between: Proxy) -> None:
    with connected(between) as line:
        between.slow(latency_ms=50)
        begun = time.monotonic()
        assert said_back(line, b"late") == b"late"
        assert time.monotonic() - begun > 0.1
        between.slow(bytes_a_second=100_000)
        begun = time.monotonic()
        assert said_back(line, b"x" * 20_000) == b"x" * 20_000
        assert time.monotonic() - begun > 0.2


def test_where_the_broker_is_away_the_connection_ends() -> None:
    port, nobody = ports.free(2)
    with proxy(port, nobody) as between, connected(between) as line:
        assert line.recv(1) == b""
