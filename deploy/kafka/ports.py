"""Ports nobody listens on, from below the range that outgoing connections take theirs from."""

from __future__ import annotations

import random
import socket

FROM, BELOW = 20_000, 32_000


def free(count: int) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < count:
        port = random.randrange(FROM, BELOW)
        if port not in chosen and is_free(port):
            chosen.append(port)
    return chosen


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
