import asyncio
import os
import socket
import stat

import pytest

from app.client.own_loop import OwnLoop
from tests.support.child import in_child

WITHIN_S = 20


@pytest.fixture
def loop():
    made = OwnLoop("test", asyncio.Event().wait)
    yield made
    made.stop()


async def later(result):
    await asyncio.sleep(0)
    return result


def test_it_begins_with_its_first_use_in_the_child_too(loop):
    def child():
        return loop.begun, loop.wait(later(7), WITHIN_S), loop.begun

    assert (loop.begun, loop.wait(later(7), WITHIN_S), loop.begun) == (False, 7, True)
    assert in_child(lambda: [loop.forked(), child()][1]) == [False, 7, True]
    assert loop.wait(later(8), WITHIN_S) == 8


def test_the_child_has_none_of_its_sockets_and_the_parent_loses_none(loop):
    with socket.create_server(("127.0.0.1", 0)) as server:
        reader, writer = loop.wait(asyncio.open_connection(*server.getsockname()), WITHIN_S)
        fd = writer.get_extra_info("socket").fileno()

        def child():
            loop.forked()
            loop.wait(later(7), WITHIN_S)
            return stat.S_ISSOCK(os.fstat(fd).st_mode)

        assert stat.S_ISSOCK(os.fstat(fd).st_mode)
        assert in_child(child) is False
        answering, _ = server.accept()
        with answering:
            answering.sendall(b"still here\n")
            assert loop.wait(reader.readline(), WITHIN_S) == b"still here\n"
        loop.soon(writer.close)
        loop.wait(writer.wait_closed(), WITHIN_S)
