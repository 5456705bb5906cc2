import pytest

from tests.support.memory_transport import MemoryTransport, Topics
from tests.support.transport_suite import TransportSuite, Ways


class TestMemoryTransport(TransportSuite):
    @pytest.fixture
    def ways(self):
        topics, opened = Topics(), []

        def made():
            opened.append(MemoryTransport(topics))
            return opened[-1]

        def cut():
            for each in opened:
                each.cut = True

        return Ways(
            made, topics.tell, lambda: [(sent.key.decode(), sent.value, sent.headers) for sent in topics.sent], cut
        )
