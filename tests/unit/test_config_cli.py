"""`iopt config`: check, show, list."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("IOPT_")]:
        monkeypatch.delenv(name)


def config(*args: str, **env: str) -> Result:
    return CliRunner().invoke(main, ["config", *args], env=env)


def shown(*args: str, **env: str) -> dict[str, tuple[str, str]]:
    """Value and origin by name."""
    rows = json.loads(config("show", *args, "--json", **env).output)
    return {row["name"]: (row["value"], row["origin"]) for row in rows}


WRONG = """\
iopt:
  timer-wiat: 5s
  partitions: many
resilience4j:
  bulkhead:
    instances:
      pay: {maxConcurrentCalls: 4}
"""


def test_check_names_all_that_is_wrong_and_what_has_no_effect(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(WRONG)
    checked = config("check", "shop.yml")
    assert checked.exit_code == 1
    assert checked.output.splitlines() == [
        "shop.yml:2: iopt.timer-wiat is not known; nearest: iopt.timer-wait",
        "shop.yml:3: iopt.partitions='many': expected a whole number from 1 to 10000",
        "warning: resilience4j.bulkhead.instances.pay.maxConcurrentCalls: accepted, without effect here: it is for "
        "the side that calls (shop.yml:7)",
        "2 problems, 1 warnings",
    ]


def test_check_tells_programs_the_same(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(WRONG)
    told = json.loads(config("check", "shop.yml", "--json").output)
    assert told["problems"][1] == {
        "where": "shop.yml:3",
        "setting": "iopt.partitions",
        "message": "iopt.partitions='many': expected a whole number from 1 to 10000",
        "expected": "a whole number from 1 to 10000",
    }
    assert len(told["warnings"]) == 1


def test_check_is_content_with_what_a_worker_would_start_with(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text("iopt: {cluster: eu}\n---\nspring.config.activate.on-profile: prod\niopt: 7\n")
    checked = config("check", "shop.yml")
    assert (checked.exit_code, checked.output) == (0, "0 problems, 0 warnings\n")
    assert config("check", "shop.yml", SPRING_PROFILES_ACTIVE="prod").exit_code == 1


def test_check_without_a_file_checks_the_usual_one(tmp_path: Path) -> None:
    (tmp_path / "application.yml").write_text("iopt: {cluster: ''}")
    checked = config("check")
    assert checked.exit_code == 1
    assert checked.output.startswith("application.yml:1: iopt.cluster=''")


def test_check_names_a_file_that_is_not_there() -> None:
    checked = config("check", "none.yml")
    assert checked.exit_code == 1
    assert checked.output.startswith("none.yml: cannot be read")


def test_show_tells_of_every_value_where_it_was_said(tmp_path: Path) -> None:
    (tmp_path / "application.yml").write_text("iopt: {timer-wait: 5s}\nspring: {zipkin: {base-url: x}}\n")
    found = shown(IOPT_KAFKA="broker:9092")
    assert found["iopt.timer-wait"] == ("5s", "application.yml:1")
    assert found["spring.kafka.bootstrap-servers"] == ("broker:9092", "IOPT_KAFKA")
    assert found["spring.kafka.consumer.group-id"] == ("iopt", "default")
    assert found["spring.zipkin.base-url"] == ("x", "application.yml:2")
    assert "spring.kafka.producer.acks" not in found


POLICIES = """\
resilience4j:
  circuitbreaker:
    configs:
      default: {failureRateThreshold: 40}
    instances:
      pay: {slidingWindowSize: 20}
      "[pay:op:charge]": {slidingWindowSize: 5}
  bulkhead.instances.pay.maxConcurrentCalls: 4
"""


def test_show_resolves_what_an_instance_takes_from_others(tmp_path: Path) -> None:
    (tmp_path / "application.yml").write_text(POLICIES)
    breaker = "resilience4j.circuitbreaker.instances"
    found = shown(breaker)
    assert found[f"{breaker}.pay.failureRateThreshold"] == ("40", "application.yml:4")
    assert found[f"{breaker}.pay.slidingWindowSize"] == ("20", "application.yml:6")
    assert found[f"{breaker}.[pay:op:charge].slidingWindowSize"] == ("5", "application.yml:7")
    assert found[f"{breaker}.pay.waitDurationInOpenState"] == ("60s", "default")
    assert all(name.startswith(breaker) for name in found)
    assert shown("resilience4j.bulkhead") == {
        "resilience4j.bulkhead.instances.pay.maxConcurrentCalls": ("4", "application.yml:8")
    }


@pytest.mark.parametrize("prefix", ["iopt.breakers", "IOPT.Breakers"])
def test_show_is_filtered_by_the_beginning_of_a_name(tmp_path: Path, prefix: str) -> None:
    (tmp_path / "application.yml").write_text("iopt: {breakers: {pay: {most: 9}}}")
    assert shown(prefix) == {
        "iopt.breakers.pay.most": ("9", "application.yml:1"),
        "iopt.breakers.pay.scopes": ("service", "default"),
    }
    assert config("show", "nothing").output == "no setting begins with nothing (iopt config list)\n"


def test_show_never_shows_a_secret(tmp_path: Path) -> None:
    text = "spring: {kafka: {streams: {properties: {api.token: hunter2}}}, zipkin: {base-url: 'http://me:hunter2@zip'}}"
    (tmp_path / "other.yml").write_text(text)
    told = CliRunner().invoke(main, ["--config", "other.yml", "config", "show"]).output
    assert "hunter2" not in told
    assert "http://******@zip" in told


def test_list_names_every_setting_with_default_and_meaning() -> None:
    listed = {row["name"]: row for row in json.loads(config("list", "--json").output)}
    assert listed["iopt.timer-wait"]["default"] == "60s"
    assert all(row["meaning"] for row in listed.values())
