import pytest

from tests.support.shop import Shop


@pytest.fixture(params=[False, True], ids=["batch", "careful"])
def shop(request) -> Shop:
    return Shop(careful=request.param)
