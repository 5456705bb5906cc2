import pytest

from app.client.retry import RetryPolicy
from app.client.settings import Settings, SettingsRefused
from app.domain.bulkhead import BulkheadPolicy
from app.domain.interval import exponential
from app.domain.rate_limiter import RateLimiterPolicy
from app.domain.time_limiter import TimeLimiterPolicy


def of(env=(), **families):
    return Settings({"resilience4j": families}, dict(env))


def of_retry(**fields):
    return of(retry={"instances": {"pay": fields}}).policy("retry", "pay")


def refused(**families):
    with pytest.raises(SettingsRefused) as raised:
        of(**families)
    return str(raised.value)


def is_busy(result):
    return result == "busy"


def test_a_services_whole_file_is_read():
    settings = of(
        circuitbreaker={"instances": {"payment-service": {"slidingWindowSize": 20, "waitDurationInOpenState": "30s"}}},
        retry={"instances": {"default": {"maxAttempts": 3, "waitDuration": "1s", "exponentialBackoffMultiplier": 2}}},
        bulkhead={"instances": {"default": {"maxConcurrentCalls": 100, "maxWaitDuration": 0}}},
    )
    assert settings.policy("retry", "any") == RetryPolicy(max_attempts=3, wait_ms=1_000, multiplier=2.0)
    assert settings.policy("bulkhead", "any") == BulkheadPolicy(max_concurrent_calls=100)
    breaker = settings.policy("circuitbreaker", "payment-service")
    assert (breaker.sliding_window_size, breaker.minimum_number_of_calls) == (20, 20)
    assert breaker.wait_duration_in_open_state_ms == 30_000
    assert settings.policy("circuitbreaker", "any") is None
    assert settings.policy("ratelimiter", "any") is None


@pytest.mark.parametrize("written", ["30s", "PT30S", 30_000, "30000", "30000ms"])
@pytest.mark.parametrize("name", ["timeoutDuration", "timeout-duration", "timeout_duration"])
def test_names_are_camel_or_kebab_and_durations_as_people_write_them(name, written):
    settings = of(**{"time-limiter": {"instances": {"pay": {name: written, "cancel-running-future": "false"}}}})
    expected = TimeLimiterPolicy(timeout_duration_ms=30_000, cancel_running_future=False)
    assert settings.policy("timelimiter", "pay") == expected


@pytest.mark.parametrize(("written", "ns"), [("500ns", 500), ("10us", 10_000), ("1s", 1_000_000_000), (2, 2_000_000)])
def test_a_rate_limiters_period_may_be_finer_than_a_millisecond(written, ns):
    policy = of(ratelimiter={"instances": {"pay": {"limitRefreshPeriod": written}}}).policy("ratelimiter", "pay")
    assert policy == RateLimiterPolicy(limit_refresh_period_ns=ns)


def test_the_nearest_entry_that_says_it_counts():
    settings = of(
        retry={
            "instances": {
                "pay": {"baseConfig": "steady", "maxAttempts": 7},
                "default": {"maxDuration": "9s", "waitDuration": "9s"},
            },
            "configs": {
                "steady": {"baseConfig": "calm", "maxAttempts": 5},
                "calm": {"waitDuration": "2s"},
                "default": {"failAfterMaxAttempts": True, "waitDuration": "3s"},
            },
        }
    )
    assert settings.policy("retry", "pay") == RetryPolicy(
        max_attempts=7, wait_ms=2_000, max_duration_ms=9_000, fail_after_max_attempts=True
    )
    assert settings.policy("retry", "stock").wait_ms == 9_000


def test_a_breaker_has_the_base_of_its_own_name_and_default_only_without_one():
    settings = of(
        circuitbreaker={
            "instances": {"pay": {}, "stock": {"baseConfig": "slow"}, "trip": {"slidingWindowSize": 9}},
            "configs": {
                "pay": {"slidingWindowSize": 5},
                "slow": {"failureRateThreshold": 20},
                "default": {"failureRateThreshold": 10},
            },
        }
    )
    found = {name: settings.policy("circuitbreaker", name) for name in ("pay", "stock", "trip", "new")}
    assert {name: (p.sliding_window_size, p.failure_rate_threshold) for name, p in found.items()} == {
        "pay": (5, 50),
        "stock": (100, 20),
        "trip": (9, 10),
        "new": (100, 10),
    }


def test_a_breakers_wait_comes_from_one_entry():
    fields = {"waitDurationInOpenState": "1s", "enableExponentialBackoff": True, "exponentialBackoffMultiplier": 3}
    both = {"instances": {"a": {}, "b": {"waitDurationInOpenState": "5s"}}, "configs": {"default": fields}}
    settings = of(circuitbreaker=both)
    assert settings.policy("circuitbreaker", "a").wait_interval_in_open_state == exponential(1_000, 3.0)
    assert settings.policy("circuitbreaker", "b").wait_interval_in_open_state is None
    assert settings.policy("circuitbreaker", "b").wait_duration_in_open_state_ms == 5_000


def test_a_multiplier_counts_unless_it_is_switched_off():
    assert of_retry(exponentialBackoffMultiplier=3).multiplier == 3
    assert of_retry(exponentialBackoffMultiplier=3, enableExponentialBackoff=False).multiplier == 1
    assert of_retry(enableExponentialBackoff=True).multiplier == 1.5


def test_waits_are_spread_only_where_it_says_so():
    assert of_retry(randomizedWaitFactor=0.3).randomized == 0
    assert of_retry(randomizedWaitFactor=0.3, enableRandomizedWait=True).randomized == 0.3
    assert of_retry(enableRandomizedWait="true").randomized == 0.5


def test_exceptions_and_functions_are_named_as_python_names_them():
    policy = of_retry(
        retryExceptions=["ConnectionError", "app.client.errors.NotPermitted"],
        ignoreExceptions="ValueError, KeyError",
        resultPredicate=f"{__name__}.is_busy",
    )
    assert [kind.__name__ for kind in policy.retry_exceptions] == ["ConnectionError", "NotPermitted"]
    assert policy.ignore_exceptions == (ValueError, KeyError)
    assert policy.retry_on_result("busy")


def test_placeholders_are_taken_from_the_environment():
    fields = {"maxAttempts": "${pay.attempts:3}", "waitDuration": "${WAIT:2s}"}
    settings = of({"PAY_ATTEMPTS": "9"}, retry={"instances": {"pay": fields}})
    assert settings.policy("retry", "pay") == RetryPolicy(max_attempts=9, wait_ms=2_000)
    assert "nothing is named GONE" in refused(retry={"instances": {"pay": {"maxAttempts": "${GONE}"}}})


def test_all_that_is_wrong_is_named_at_once():
    said = refused(
        retry={"instances": {"pay": {"maxAttempt": 3, "waitDuration": "5 parsecs"}}},
        bulkhead={"instances": {"pay": {"maxConcurrentCalls": -1}}},
        timelimiter={"configs": {"default": {"cancelRunningFuture": "perhaps"}}},
        ratelimit={},
    )
    assert said.splitlines() == [
        "resilience4j.retry.instances.pay.maxAttempt is not known; nearest: maxAttempts",
        "resilience4j.retry.instances.pay.waitDuration='5 parsecs': expected a duration such as 500ms, 30s, 15m, 2h, "
        "7d, PT30S, or whole milliseconds",
        "resilience4j.bulkhead.instances.pay.maxConcurrentCalls=-1: expected `int` >= 0",
        "resilience4j.timelimiter.configs.default.cancelRunningFuture='perhaps': expected true or false",
        "resilience4j.ratelimit is not known; nearest: ratelimiter",
    ]


@pytest.mark.parametrize(
    ("family", "fields", "expected"),
    [
        ("retry", {"maxAttempts": 0}, "maxAttempts=0: expected `int` >= 1"),
        ("retry", {"retryExceptions": ["java.io.IOException"]}, "expected a Python exception, as TimeoutError"),
        ("retry", {"resultPredicate": "gone.away"}, "expected a function, or its name"),
        ("retry", {"baseConfig": "x"}, "baseConfig='x': expected an entry of resilience4j.retry.configs"),
        ("circuitbreaker", {"slidingWindowType": "ROUND"}, "expected COUNT_BASED or TIME_BASED"),
        ("circuitbreaker", {"failureRateThreshold": 101}, "expected `float` <= 100"),
        (
            "circuitbreaker",
            {"waitDurationInOpenState": "1s", "enableRandomizedWait": True, "enableExponentialBackoff": True},
            "only one of enableRandomizedWait and enableExponentialBackoff",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(family, fields, expected):
    assert expected in refused(**{family: {"instances": {"pay": fields}}})


def test_what_stands_beside_is_none_of_its_business():
    mapping = {"server": {"port": 1}, "resilience4j": {"retry": {"metrics": {}, "instances": {"a": None}}}}
    assert Settings(mapping).names("retry") == ["a"]
    assert Settings({}).policy("retry", "a") is None
    with pytest.raises(SettingsRefused, match="retry: expected below resilience4j"):
        Settings({"retry": {}})


def test_settings_of_spring_alone_are_passed_over():
    policy = of_retry(eventConsumerBufferSize=10, ignoreClassBindingExceptions=True)
    assert policy == RetryPolicy()


def test_aspect_orders_move_a_part_further_in_or_out():
    assert of().order == ("retry", "circuitbreaker", "ratelimiter", "timelimiter", "bulkhead")
    turned = of(circuitbreaker={"circuitBreakerAspectOrder": 1}, retry={"retry-aspect-order": 2})
    assert turned.order == ("circuitbreaker", "retry", "ratelimiter", "timelimiter", "bulkhead")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("application.yml", "settings='application.yml': expected a map"),
        ({"resilience4j": ["retry"]}, "resilience4j=['retry']: expected a map"),
        ({"resilience4j": {"retry": 3}}, "resilience4j.retry=3: expected a map"),
        ({"resilience4j": {"retry": {"instances": ["pay"]}}}, "resilience4j.retry.instances=['pay']: expected a map"),
        ({"resilience4j": {"retry": {"configs": {"a": "b"}}}}, "resilience4j.retry.configs.a='b': expected a map"),
        (
            {"resilience4j": {"retry": {"retryAspectOrder": "last"}}},
            "resilience4j.retry.retryAspectOrder='last': expected a whole number",
        ),
    ],
)
def test_what_has_the_wrong_shape_is_named_by_its_path(written, said):
    with pytest.raises(SettingsRefused) as raised:
        Settings(written)
    assert str(raised.value) == said


def test_an_order_may_be_text_as_a_placeholder_leaves_it():
    settings = of(
        {"RETRY_ORDER": "2"},
        retry={"retryAspectOrder": "${RETRY_ORDER}"},
        circuitbreaker={"circuitBreakerAspectOrder": "1"},
    )
    assert settings.order == ("circuitbreaker", "retry", "ratelimiter", "timelimiter", "bulkhead")


@pytest.mark.parametrize("name", ["recordExceptions", "ignoreExceptions"])
def test_a_breakers_exception_of_no_module_is_refused_since_it_would_never_be_met(name):
    said = refused(circuitbreaker={"instances": {"pay": {name: ["TimeoutError", "java.io.IOException"]}}})
    assert said == (
        f"resilience4j.circuitbreaker.instances.pay.{name}=['TimeoutError', 'java.io.IOException']: "
        "'java.io.IOException': there is no module java; expected a Python exception, as TimeoutError"
    )


def test_those_of_modules_and_bare_names_are_taken_unseen():
    named = ["Declined", "json.JSONDecodeError", f"{__name__}.Declined", "msgspec.nothing.Here"]
    settings = of(circuitbreaker={"instances": {"pay": {"recordExceptions": named}}})
    assert list(settings.policy("circuitbreaker", "pay").record_exceptions) == named
