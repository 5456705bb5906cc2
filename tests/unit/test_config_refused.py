from __future__ import annotations

from pathlib import Path

import pytest

from app.config import SettingsRefused, load


def refusal(tmp_path: Path, text: str, **env: str) -> str:
    file = tmp_path / "application.yml"
    file.write_text(text)
    with pytest.raises(SettingsRefused) as refused:
        load(file, env)
    return str(refused.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("iopt: {timer-wiat: 5s}", "application.yml:1: iopt.timer-wiat is not known; nearest: iopt.timer-wait"),
        (
            "resilience4j: {retry: {instances: {pay: {maxAttempt: 3}}}}",
            "application.yml:1: resilience4j.retry.instances.pay.maxAttempt is not known; "
            "nearest: resilience4j.retry.instances.pay.maxAttempts",
        ),
        ("iopt: {zzz: }", "application.yml:1: iopt.zzz is not known"),
        (
            "iopt: {saga-max-size: 2MB}",
            "application.yml:1: iopt.saga-max-size=2MB is not supported yet; expected 768KB",
        ),
        ("iopt: 7", "application.yml:1: iopt is not known"),
        (
            "\n\niopt: {timer-wait: 5 parsecs}",
            "application.yml:3: iopt.timer-wait='5 parsecs': expected a duration, as 30s, 1m, PT30S, 500ms or bare "
            "milliseconds",
        ),
        (
            "iopt:\n  transaction-max-size: 4TB",
            "application.yml:2: iopt.transaction-max-size='4TB': expected a size of at least 1024 bytes, as 256KB, "
            "4MB or bare bytes",
        ),
        ("server: {port: 80000}", "application.yml:1: server.port='80000': expected a whole number from 0 to 65535"),
        (
            "iopt: {partitions: [1, 2]}",
            "application.yml:1: iopt.partitions='1,2': expected a whole number from 1 to 10000",
        ),
        (
            "resilience4j.circuitbreaker.configs.default.failureRateThreshold: 101",
            "application.yml:1: resilience4j.circuitbreaker.configs.default.failureRateThreshold='101': expected a "
            "number of at least 1, at most 100",
        ),
        (
            "resilience4j.retry.instances.pay.maxRetryAttempts: 3",
            "application.yml:1: resilience4j.retry.instances.pay.maxRetryAttempts is not supported: Resilience4j 2 "
            "calls it maxAttempts",
        ),
        (
            "resilience4j.circuitbreaker.instances.pay.slidingWindowType: time",
            "application.yml:1: resilience4j.circuitbreaker.instances.pay.slidingWindowType='time': expected "
            "COUNT_BASED or TIME_BASED",
        ),
        (
            "resilience4j.circuitbreaker.configs.default: {slidingWindowType: time-based, slidingWindowSize: 7200}",
            "application.yml:1: resilience4j.circuitbreaker.configs.default.slidingWindowSize=7200: expected at most "
            "3600 seconds (TIME_BASED)",
        ),
        (
            "resilience4j.circuitbreaker.configs.a: {enableExponentialBackoff: true, enableRandomizedWait: true}",
            "application.yml:1: resilience4j.circuitbreaker.configs.a.enableRandomizedWait=true: expected only one of "
            "it and enableExponentialBackoff",
        ),
        (
            "resilience4j.circuitbreaker.instances.pay.randomizedWaitFactor: 1",
            "application.yml:1: resilience4j.circuitbreaker.instances.pay.randomizedWaitFactor='1': expected a number "
            "of at least 0, below 1",
        ),
        (
            "resilience4j.circuitbreaker.instances.pay.ignoreExceptions: [java.io.IOException, '404']",
            "application.yml:1: resilience4j.circuitbreaker.instances.pay.ignoreExceptions='java.io.IOException,404': "
            "expected a list, each the name of a class",
        ),
        (
            "spring: {kafka: {security: {protocol: TLS}}}",
            "application.yml:1: spring.kafka.security.protocol='TLS': expected PLAINTEXT or SSL or SASL_PLAINTEXT or "
            "SASL_SSL",
        ),
        (
            "spring.kafka.bootstrap-servers: [a:1, b]",
            "application.yml:1: spring.kafka.bootstrap-servers='a:1,b': expected a list, each host:port",
        ),
        (
            "spring.kafka.bootstrap-servers: []",
            "application.yml:1: spring.kafka.bootstrap-servers='': expected a list, each host:port",
        ),
        (
            "iopt: {cluster: '${REGION}'}",
            "application.yml:1: iopt.cluster: nothing is named REGION: set it, or write ${REGION:default}",
        ),
        (
            "resilience4j.retry.instances.pay.baseConfig: slow",
            "application.yml:1: resilience4j.retry.instances.pay.baseConfig=slow: expected an entry of "
            "resilience4j.retry.configs",
        ),
        (
            "resilience4j.bulkhead: {configs: {a: {maxConcurrentCalls: 1}}, instances: {pay: {baseConfig: b}}}",
            "application.yml:1: resilience4j.bulkhead.instances.pay.baseConfig=b: expected one of "
            "resilience4j.bulkhead.configs: a",
        ),
        (
            "iopt: {breakers: {pay: {scopes: [service, method]}}}",
            "application.yml:1: iopt.breakers.pay.scopes='service,method': expected a list, each service or operation "
            "or instance or caller",
        ),
        (
            "spring.config.activate.on-profile: prod & (eu",
            "application.yml:1: spring.config.activate.on-profile='prod & (eu': expected a profile, or an expression "
            "of them as prod & (eu | !us)",
        ),
        (
            "iopt.definitions[0]: a\niopt.definitions[2]: b",
            "application.yml:2: iopt.definitions.[2]: expected every place of the list from [0] on",
        ),
        (
            "iopt: {advertised-url: 'http://me:hunter2@host'}",
            "application.yml:1: iopt.advertised-url='http://******@host': expected http://host or http://host:port",
        ),
        ("iopt: {cluster: a}\nserver: {port: 1, port: 2}", "application.yml:2: port is given twice in one map"),
        ("iopt: {cluster: a", "application.yml:1: not YAML: expected ',' or '}', but got '<stream end>'"),
        ("- iopt.cluster", "application.yml:1: expected names with values, found a list"),
        ("---\n---\niopt.cluster\n", "application.yml:3: expected names with values, found text"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, text) == message


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = "iopt: {partitions: 0, cluster: a, cluster: b}"
    lines = refusal(tmp_path, text, IOPT_PORT="x", IOPT_TIMER_WIAT="1s").splitlines()
    assert [line.partition(":")[0] for line in lines] == [*["application.yml"] * 2, "IOPT_TIMER_WIAT", "IOPT_PORT"]


def test_a_circle_of_base_configs_is_refused(tmp_path: Path) -> None:
    text = "resilience4j.retry.configs: {a: {baseConfig: b}, b: {baseConfig: a}}"
    assert "begins with itself in the end" in refusal(tmp_path, text)


def test_a_circle_of_placeholders_is_refused(tmp_path: Path) -> None:
    assert "iopt.cluster: nothing is named" in refusal(
        tmp_path, "iopt: {cluster: '${iopt.data-dir}', data-dir: '${iopt.cluster}'}"
    )


def test_a_circle_of_aliases_is_refused(tmp_path: Path) -> None:
    assert "nested more than" in refusal(tmp_path, "iopt: &a {b: *a}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 500, "application.yml: nested more than 40 deep"),
        (f"spring.config.activate.on-profile: '{'!' * 2_000}eu'", "expected a profile, or an expression of them"),
        ("spring.profiles.active: ../secret", "../secret: expected a profile's name, which has no `/`"),
        ('spring.kafka: {security.protocol: SSL, ssl.trust-store-location: "a\\0b"}', "expected a file, as"),
    ],
)
def test_what_no_file_would_have_is_refused_like_any_other_mistake(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match=r"none\.yml: cannot be read"):
        load(tmp_path / "none.yml", {})


def test_unknown_keys_of_others_are_named_once(tmp_path: Path) -> None:
    file = tmp_path / "application.yml"
    file.write_text("datasource: {url: x}\nspring: {jpa: {open-in-view: false}}")
    assert [notice.partition(":")[0] for notice in load(file, {}).notices] == [
        "datasource.url",
        "spring.jpa.open-in-view",
    ]
