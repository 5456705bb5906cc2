"""What can be put under a part, as a decorator."""

import functools

import pytest

from app.client.errors import CallNotPermitted
from app.client.resilience import Resilience
from app.client.retry import Retry, RetryPolicy
from tests.support.virtual_clock import VirtualClock


class Busy:
    """Called as an async def is; does what is asked the third time."""

    def __init__(self):
        self.calls = 0

    async def __call__(self, answer):
        self.calls += 1
        if self.calls % 3:
            raise CallNotPermitted("pay")
        return answer


@pytest.fixture
def retry():
    return Retry("pay", RetryPolicy(max_attempts=3, wait_ms=0), VirtualClock())


async def test_an_object_that_is_called_as_a_coroutine_function_is_awaited(retry):
    assert await retry(Busy())(7) == 7
    assert await retry(functools.partial(Busy(), 8))() == 8


def test_a_generator_is_refused_since_it_would_go_unguarded(retry):
    def pages():
        yield 1

    async def later():
        yield 1

    for each in (pages, later):
        with pytest.raises(TypeError, match=f"{each.__name__}.*: a generator cannot be guarded"):
            retry(each)


def test_a_coroutine_that_nobody_has_awaited_is_no_result(retry):
    async def charge():
        return 7

    resilience = Resilience(policies={"retry": {"pay": RetryPolicy()}}, clock=VirtualClock())
    for call in (lambda: retry.call(charge), retry(lambda *_: charge()), lambda: resilience.call("pay", charge)):
        with pytest.raises(TypeError, match="charge is a coroutine: await it by `acall`"):
            call()
