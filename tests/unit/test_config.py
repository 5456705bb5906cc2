from __future__ import annotations

from pathlib import Path

import pytest

from app.config import Route, Settings, load
from app.domain.sagas.participant import Participant


def settings(tmp_path: Path, text: str = "", **env: str) -> Settings:
    file = tmp_path / "application.yml"
    file.write_text(text)
    return load(file, env)


def test_without_a_file_everything_has_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load(env={})
    assert (found.group_id, found.port, found.host, found.partitions) == ("iopt", 8104, "127.0.0.1", 4)
    assert (found.commit_interval_ms, found.commit_interval_busy_ms) == (10, 50)
    assert (found.transaction_max_records, found.transaction_max_bytes) == (3_000, 4 << 20)
    assert (found.timer_wait_ms, found.session_timeout_ms, found.source) == (60_000, 10_000, "/iopt/local")


@pytest.mark.parametrize(
    "spelled",
    ["iopt: {timer-wait: 5s}", "iopt: {timerWait: PT5S}", "iopt.timer_wait: 5000", "iopt:\n  timer-wait: 5000ms"],
)
def test_names_and_durations_are_relaxed(tmp_path: Path, spelled: str) -> None:
    assert settings(tmp_path, spelled).timer_wait_ms == 5_000


@pytest.mark.parametrize("variable", ["IOPT_TIMER_WAIT", "IOPT_TIMERWAIT"])
def test_the_environment_wins_over_the_file(tmp_path: Path, variable: str) -> None:
    assert settings(tmp_path, "iopt: {timer-wait: 5s}", **{variable: "7s"}).timer_wait_ms == 7_000


def test_the_short_names_win_over_both_spellings(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "server: {port: 1}",
        SERVER_PORT="2",
        IOPT_PORT="3",
        SPRING_KAFKA_BOOTSTRAPSERVERS="a:1",
        IOPT_KAFKA="b:2",
    )
    assert (found.port, found.port_is_fixed, found.bootstrap) == (3, True, "b:2")


def test_a_port_that_kubernetes_made_up_is_not_ours(tmp_path: Path) -> None:
    found = settings(tmp_path, IOPT_PORT="tcp://10.0.0.7:8104", IOPT_SERVICE_HOST="10.0.0.7", IOPT_PORT_8104_TCP="x")
    assert (found.port, found.port_is_fixed) == (8104, False)


def test_a_variable_speaks_of_the_name_in_the_file(tmp_path: Path) -> None:
    text = "iopt: {participants: {paymentService: {commands: a}}}"
    found = settings(
        tmp_path,
        text,
        IOPT_PARTICIPANTS_PAYMENT_SERVICE_BREAKER="pay",
        IOPT_PARTICIPANTS_COURIER_SERVICE_COMMANDS="courier.cmd",
    )
    assert found.participant("paymentService") == Participant("a", "pay")
    assert found.participant("courier-service") == Participant("courier.cmd", "courier-service")
    assert found.participant("unheard-of") == Participant("unheard-of.commands", "unheard-of")


def test_names_of_topics_keep_their_dots(tmp_path: Path) -> None:
    text = 'iopt: {routes: {shop.orders.v1: {type_from: "$.eventType"}, payments: {type: payment.made}}}'
    assert settings(tmp_path, text).routes == {
        "shop.orders.v1": Route("$.eventType"),
        "payments": Route(type="payment.made"),
    }


def test_placeholders_take_the_environment_then_the_file_then_their_default(tmp_path: Path) -> None:
    text = "iopt: {cluster: '${REGION:${spring.application.name}}', data-dir: '${WHERE:/var}/${iopt.cluster}'}\n"
    text += "spring: {application: {name: shop}}"
    assert settings(tmp_path, text).data_dir == "/var/shop"
    assert settings(tmp_path, text, REGION="eu", WHERE="/data").data_dir == "/data/eu"
    assert settings(tmp_path, text, SPRING_APPLICATION_NAME="mall").data_dir == "/var/mall"


PROFILED = """\
iopt: {cluster: one}
---
spring: {config: {activate: {on-profile: "prod & !eu"}}}
iopt: {cluster: two}
---
spring.config.activate.on-profile: [eu, us]
iopt: {cluster: three}
"""


@pytest.mark.parametrize(
    ("profiles", "cluster"), [("", "one"), ("prod", "two"), ("prod,eu", "three"), ("us", "three"), ("dev", "one")]
)
def test_of_several_documents_those_of_the_profiles_count(tmp_path: Path, profiles: str, cluster: str) -> None:
    assert settings(tmp_path, PROFILED, SPRING_PROFILES_ACTIVE=profiles).cluster == cluster
    assert settings(tmp_path, f"spring: {{profiles: {{active: '{profiles}'}}}}\n---\n{PROFILED}").cluster == cluster


@pytest.mark.parametrize(
    ("expression", "profiles", "counts"),
    [
        ("prod & (eu | us)", "prod,us", True),
        ("prod & (eu | us)", "prod", False),
        ("!(prod | test)", "dev", True),
        ("!prod", "prod", False),
        ("default", "", True),
    ],
)
def test_a_document_counts_by_an_expression_of_profiles(
    tmp_path: Path, expression: str, profiles: str, counts: bool
) -> None:
    text = f"iopt.cluster: one\n---\nspring.config.activate.on-profile: '{expression}'\niopt.cluster: two"
    assert settings(tmp_path, text, SPRING_PROFILES_ACTIVE=profiles).cluster == ("two" if counts else "one")


@pytest.mark.parametrize("more", ["include: eu", "group: {prod: eu}", "group.prod: [eu]", "group:\n    prod[0]: eu"])
def test_a_profile_may_bring_others(tmp_path: Path, more: str) -> None:
    found = settings(tmp_path, f"spring.profiles:\n  active: prod\n  {more}\n---\n{PROFILED}")
    assert (found.cluster, found.notices) == ("three", ())


@pytest.mark.parametrize(
    "env",
    [
        {"SPRING_PROFILES_ACTIVE": "us"},
        {"SPRING_PROFILES_ACTIVE_0": "dev", "SPRING_PROFILES_ACTIVE_1": "us"},
        {"SPRING_PROFILES_INCLUDE": "us"},
    ],
)
def test_the_environment_names_profiles_too(tmp_path: Path, env: dict[str, str]) -> None:
    assert settings(tmp_path, f"spring.profiles.active: prod\n---\n{PROFILED}", **env).cluster == "three"


def test_a_file_of_the_profile_beside_it_wins(tmp_path: Path) -> None:
    (tmp_path / "application-prod.yml").write_text("iopt: {cluster: four}")
    assert settings(tmp_path, PROFILED, SPRING_PROFILES_ACTIVE="prod").cluster == "four"


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("iopt: {definitions: [a, b]}", {}),
        ("iopt:\n  definitions:\n  - a\n  - b", {}),
        ("iopt.definitions: a, b", {}),
        ("iopt.definitions[0]: a\niopt.definitions[1]: b", {}),
        ("iopt: {definitions: [c, d, e]}", {"IOPT_DEFINITIONS_0": "a", "IOPT_DEFINITIONS_1": "b"}),
        ("iopt: {definitions: c}", {"IOPT_DEFINITIONS": "a,b"}),
    ],
)
def test_a_list_is_written_as_spring_takes_it(tmp_path: Path, text: str, env: dict[str, str]) -> None:
    assert settings(tmp_path, text, **env).definitions == ("a", "b")


@pytest.mark.parametrize(
    "variable",
    [
        "RESILIENCE4J_CIRCUITBREAKER_INSTANCES_PAYMENT_SERVICE_OP_CHARGE_SLIDINGWINDOWSIZE",
        "RESILIENCE4J_CIRCUITBREAKER_INSTANCES_PAYMENTSERVICEOPCHARGE_SLIDING_WINDOW_SIZE",
    ],
)
def test_a_variable_finds_the_breaker_of_an_operation(tmp_path: Path, variable: str) -> None:
    text = 'resilience4j.circuitbreaker.instances: {"[payment-service:op:charge]": {slidingWindowSize: 5}}'
    found = settings(tmp_path, text, **{variable: "7"})
    assert found.breaker_policy("payment-service:op:charge").sliding_window_size == 7


def test_merged_maps_fill_in_what_is_missing(tmp_path: Path) -> None:
    text = "iopt:\n  routes:\n    a: &all {type: x, type-from: $.t}\n    b: {<<: *all, type: y}\n"
    assert settings(tmp_path, text).routes["b"] == Route("$.t", "y")


def test_what_is_fixed_today_may_be_said(tmp_path: Path) -> None:
    settings(tmp_path, "iopt: {event-max-size: 262144, saga-max-size: 768KB, topic-prefix: iopt.}")


def test_every_value_knows_where_it_came_from(tmp_path: Path) -> None:
    found = {
        value.name: value.origin for value in settings(tmp_path, "\niopt: {cluster: eu}", IOPT_KAFKA="a:1").values()
    }
    assert found == {"iopt.cluster": f"{tmp_path}/application.yml:2", "spring.kafka.bootstrap-servers": "IOPT_KAFKA"}
