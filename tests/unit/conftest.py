from collections.abc import AsyncIterator

import pytest

from tests.support.web import OneWorker, Site, site


@pytest.fixture
async def served(worker: OneWorker) -> AsyncIterator[Site]:
    """Each file of tests has a `worker` of its own."""
    async with site(worker) as found:
        yield found
