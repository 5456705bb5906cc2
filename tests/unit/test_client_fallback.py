import pytest

from app.client.cache_fallback import CacheFallback, CachePolicy
from app.client.errors import BulkheadFull, NotPermitted
from app.client.fallback import Fallback
from tests.support.virtual_clock import VirtualClock


def constant(result):
    def instead(*_args):
        return result

    return instead


def raising(error):
    raise error


async def raising_later(error):
    raise error


@pytest.fixture
def fallback():
    return Fallback(
        "f",
        {
            Exception: constant("anything"),
            NotPermitted: constant("later"),
            OSError: lambda error, *args: (str(error), args),
        },
    )


@pytest.mark.parametrize(
    ("error", "instead"),
    [(BulkheadFull("b"), "later"), (ValueError(), "anything"), (OSError("gone"), ("gone", (OSError,)))],
)
def test_the_most_specific_type_wins(fallback, error, instead):
    if isinstance(error, OSError):
        instead = ("gone", (error,))
    assert fallback.call(raising, error) == instead
    assert fallback.counts() == {"FALLBACK": 1}


def test_what_goes_well_is_left_alone(fallback):
    assert fallback.call(lambda: 7) == 7
    assert fallback.recent_events() == []


def test_what_no_type_covers_is_raised():
    with pytest.raises(ValueError, match="x"):
        Fallback("f", {OSError: constant(None)}).call(raising, ValueError("x"))


def test_a_fallback_of_a_coroutine_may_be_either():
    async def cached(error, *args):
        return "cached"

    fallback = Fallback("f", {OSError: cached, ValueError: constant("plain")})
    clock = VirtualClock()
    assert clock.run(fallback.acall(raising_later, OSError())) == "cached"
    assert clock.run(fallback.acall(raising_later, ValueError())) == "plain"


class Rates:
    """Prices by currency, until they are away."""

    def __init__(self):
        self.away = False
        self.by_currency = {"EUR": 1, "USD": 2, "CHF": 3}

    def get(self, currency):
        if self.away:
            raise ConnectionError(currency)
        return self.by_currency[currency]

    async def get_later(self, currency):
        return self.get(currency)


@pytest.fixture
def clock():
    return VirtualClock()


def test_the_last_good_result_stands_in(clock):
    rates, cache = Rates(), CacheFallback("c", CachePolicy(max_age_ms=1_000), clock)
    get = cache(rates.get)
    assert (get("EUR"), get("USD")) == (1, 2)
    rates.by_currency["EUR"] = 9
    assert get("EUR") == 9
    rates.away = True
    clock.advance(1_000_000_000)
    assert (get("EUR"), get("USD")) == (9, 2)
    assert [(event.type, event.number) for event in cache.recent_events()] == [("CACHE_HIT", 1_000)] * 2


def test_one_too_old_does_not(clock):
    rates, cache = Rates(), CacheFallback("c", CachePolicy(max_age_ms=1_000), clock)
    cache.call(rates.get, "EUR")
    rates.away = True
    clock.advance(1_001_000_000)
    with pytest.raises(ConnectionError):
        cache.call(rates.get, "EUR")
    assert cache.counts() == {"CACHE_HIT": 0, "CACHE_MISS": 1}


def test_only_so_many_are_kept(clock):
    rates, cache = Rates(), CacheFallback("c", CachePolicy(max_entries=2), clock)
    for currency in ("EUR", "USD", "EUR", "CHF"):
        cache.call(rates.get, currency)
    rates.away = True
    assert (cache.call(rates.get, "EUR"), cache.call(rates.get, "CHF")) == (1, 3)
    with pytest.raises(ConnectionError):
        cache.call(rates.get, "USD")


def test_a_coroutine_has_the_same(clock):
    rates, cache = Rates(), CacheFallback("c", clock=clock, on=(ConnectionError,))
    assert clock.run(cache.acall(rates.get_later, "EUR")) == 1
    rates.away = True
    assert clock.run(cache.acall(rates.get_later, "EUR")) == 1
    with pytest.raises(ConnectionError):
        clock.run(cache.acall(rates.get_later, "USD"))


def test_a_key_may_be_made_of_what_is_not_hashable(clock):
    cache = CacheFallback("c", clock=clock, key=lambda order: order["id"])
    total = cache(lambda order: order["total"])
    assert total({"id": 1, "total": 5}) == 5
    with pytest.raises(TypeError):
        CacheFallback("c", clock=clock).call(len, [])
    assert total({"id": 1}) == 5


def test_only_the_errors_named_are_covered(clock):
    cache = CacheFallback("c", clock=clock, on=(ConnectionError,), key=constant(1))
    assert cache.call(constant("good"), None) == "good"
    assert cache.call(raising, ConnectionError()) == "good"
    with pytest.raises(ValueError, match="x"):
        cache.call(raising, ValueError("x"))
