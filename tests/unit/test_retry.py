import pytest

from app.domain.duration import duration_ms
from app.domain.retry import UNDO_RETRY, RetryPolicy


def test_the_pause_is_fixed_unless_it_grows():
    policy = RetryPolicy(max_attempts=4, wait_ms=700)
    assert [policy.pause_ms(attempt, "x") for attempt in (1, 2, 3, 4)] == [700, 700, 700, None]


def test_it_grows_up_to_its_maximum():
    pauses = [UNDO_RETRY.pause_ms(attempt, "x") for attempt in range(1, 11)]
    assert pauses == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, None]
    steep = RetryPolicy(max_attempts=5, wait_ms=1_000, multiplier=10.0, max_wait_ms=5_000)
    assert [steep.pause_ms(attempt, "x") for attempt in (1, 2, 3)] == [1_000, 5_000, 5_000]


def test_no_pause_is_longer_than_a_day():
    policy = RetryPolicy(max_attempts=9_999, wait_ms=1_000, multiplier=9.0)
    assert policy.pause_ms(2_000, "x") == 86_400_000


def test_one_attempt_is_one_attempt():
    assert RetryPolicy(max_attempts=1).pause_ms(1, "x") is None


def test_jitter_comes_from_the_id_and_stays_within_its_bounds():
    policy = RetryPolicy(max_attempts=2, wait_ms=1_000, randomized=0.5)
    pauses = [policy.pause_ms(1, f"order/o-{n}") for n in range(300)]
    assert pauses == [policy.pause_ms(1, f"order/o-{n}") for n in range(300)]
    assert min(pauses) in range(500, 520)
    assert max(pauses) in range(1_480, 1_501)


def test_jitter_never_passes_the_maximum():
    policy = RetryPolicy(max_attempts=2, wait_ms=1_000, max_wait_ms=1_000, randomized=0.5)
    assert max(policy.pause_ms(1, f"o-{n}") for n in range(100)) == 1_000


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        *[("30s", 30_000), ("1m", 60_000), ("1m30s", 90_000), ("2h", 7_200_000), ("7d", 604_800_000), ("5ms", 5)],
        *[("PT30S", 30_000), ("PT1H2M", 3_720_000), ("P1D", 86_400_000), ("pt0.5s", 500), (250, 250), ("250", 250)],
    ],
)
def test_durations_are_read_as_people_write_them(written, ms):
    assert duration_ms(written) == ms


@pytest.mark.parametrize("written", ["", -1, "-1s", "1 s", "P", "PT", "P1DT", "1.0001ms", 1.5, True, None, "1x", "٣s"])
def test_what_is_no_duration_is_refused_with_what_was_expected(written):
    with pytest.raises(ValueError, match="expected a duration such as"):
        duration_ms(written)
