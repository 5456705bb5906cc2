"""What a change of the settings means for a worker that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import Settings, load

BEFORE = """\
iopt:
  cache-size: 64MB
  breakers: {pay: {scopes: [service, operation]}}
resilience4j:
  circuitbreaker:
    configs: {default: {failureRateThreshold: 40}}
    instances: {pay: {slidingWindowSize: 20, waitDurationInOpenState: 60s}}
  ratelimiter: {instances: {pay: {limitForPeriod: 5}}}
"""
BREAKER = "resilience4j.circuitbreaker"


def settings(tmp_path: Path, text: str = BEFORE, **env: str) -> Settings:
    file = tmp_path / "application.yml"
    file.write_text(text)
    return load(file, env)


def changed(tmp_path: Path, old: str, new: str) -> list[tuple[str, str | None, str | None, str]]:
    """Name, old, new, and from when the new one counts."""
    assert old in BEFORE
    before, after = settings(tmp_path), settings(tmp_path, BEFORE.replace(old, new))
    return [(change.setting, change.old, change.new, change.counts) for change in before.changes(after)]


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("slidingWindowSize: 20", "slidingWindowSize: 30", (f"{BREAKER}.instances.pay.slidingWindowSize", "20", "30")),
        (
            "{failureRateThreshold: 40}",
            "{}",
            (f"{BREAKER}.configs.default.failureRateThreshold", "40", None),
        ),
        (
            "  ratelimiter:",
            "  retry: {instances: {pay: {maxAttempts: 3}}}\n  ratelimiter:",
            ("resilience4j.retry.instances.pay.maxAttempts", None, "3"),
        ),
        (
            "[service, operation]",
            "[service, caller]",
            ("iopt.breakers.pay.scopes", "service,operation", "service,caller"),
        ),
    ],
)
def test_breakers_scopes_and_retries_change_at_once(
    tmp_path: Path, old: str, new: str, change: tuple[str, str | None, str | None]
) -> None:
    assert changed(tmp_path, old, new) == [(*change, "from now on")]


def test_everything_else_counts_after_a_restart(tmp_path: Path) -> None:
    more = "cache-size: 32MB\n  http-token: secret\n  participants: {pay: {breaker: other}}"
    assert changed(tmp_path, "cache-size: 64MB", more) == [
        ("iopt.cache-size", "64MB", "32MB", "after a restart"),
        ("iopt.http-token", None, "******", "after a restart"),
        ("iopt.participants.pay.breaker", None, "other", "after a restart"),
    ]


def test_what_is_for_the_side_that_calls_counts_nowhere_here(tmp_path: Path) -> None:
    name = "resilience4j.ratelimiter.instances.pay.limitForPeriod"
    assert changed(tmp_path, "limitForPeriod: 5", "limitForPeriod: 6") == [(name, "5", "6", "not here")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("waitDurationInOpenState: 60s", "wait-duration-in-open-state: 1m"),
        ("cache-size: 64MB", ""),
        ("iopt:", "spring.profiles.active: prod\niopt:"),
        ("iopt:", "# a comment\niopt:"),
    ],
)
def test_the_same_in_other_words_is_no_change(tmp_path: Path, old: str, new: str) -> None:
    assert changed(tmp_path, old, new) == []


def test_a_default_that_is_said_takes_back_what_another_entry_says(tmp_path: Path) -> None:
    change = (f"{BREAKER}.instances.pay.failureRateThreshold", None, "50", "from now on")
    assert changed(tmp_path, "slidingWindowSize: 20", "slidingWindowSize: 20, failureRateThreshold: 50") == [change]


def test_where_the_new_one_was_said_is_told(tmp_path: Path) -> None:
    before, after = settings(tmp_path), settings(tmp_path, BEFORE, IOPT_CACHE_SIZE="32MB")
    assert [change.where for change in before.changes(after)] == ["IOPT_CACHE_SIZE"]


def test_renewed_they_have_the_new_policies_and_nothing_else(tmp_path: Path) -> None:
    before = settings(tmp_path)
    text = BEFORE.replace("64MB", "32MB").replace("40", "30").replace("pay:", "refund:")
    after = before.renewed(settings(tmp_path, text))
    assert after.breaker_policy("refund").sliding_window_size == 20
    assert after.breaker_policy("pay").sliding_window_size == 100
    assert after.breaker_policy("pay").failure_rate_threshold == 30
    assert after.breaker_scopes("pay").kept == ("service",)
    assert after.breakers == after.instances("ratelimiter") == ("refund",)
    assert after.cache_bytes == before.cache_bytes
    assert {value.name: value.text for value in after.values()}["iopt.cache-size"] == "64MB"


def test_what_waits_for_a_restart_is_named_each_time(tmp_path: Path) -> None:
    before, after = settings(tmp_path), settings(tmp_path, BEFORE.replace("64MB", "32MB").replace("40", "30"))
    assert [change.setting for change in before.renewed(after).changes(after)] == ["iopt.cache-size"]
