"""What a log line looks like, from us and from what runs beneath."""

import json
import logging

import pytest
import structlog

from app.telemetry import logs


@pytest.fixture(autouse=True)
def restore():
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(handler)
    root.setLevel(logging.WARNING)
    for name in logs.QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_one_json_line_with_its_fields(capsys):
    logs.configure("json")
    logs.log.info("dead_lettered", reason="bug", offset=7)
    [line] = lines(capsys)
    assert (line["event"], line["level"], line["reason"], line["offset"]) == ("dead_lettered", "info", "bug", 7)
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_come_the_same_way(capsys):
    logs.configure("json")
    logging.getLogger("faust.app").warning("lost %s", "it")
    [line] = lines(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("lost it", "warning", "faust.app")


def test_chatter_of_libraries_is_left_out(capsys):
    logs.configure("json")
    logging.getLogger("aiokafka.consumer").info("joined")
    logs.log.debug("step")
    assert lines(capsys) == []


def heard(repeats: logs.Repeats, logger: str, *lines: str) -> list[tuple[str, int]]:
    """What is let through of them, and how often each was held back before."""
    records = [logging.LogRecord(logger, logging.ERROR, "", 0, "no %s", (line,), None) for line in lines]
    return [(record.getMessage(), getattr(record, "repeated", 0)) for record in records if repeats.filter(record)]


def test_what_aiokafka_repeats_is_said_once_in_ten_seconds(capsys):
    now = [100.0]
    repeats = logs.Repeats("aiokafka", lambda: now[0])
    assert heard(repeats, "aiokafka.conn", "broker 1", "broker 2", "broker 1") == [("no broker 1", 0)]
    now[0] += 10
    assert heard(repeats, "aiokafka.conn", "broker 3", "broker 3") == [("no broker 3", 2)]
    assert heard(repeats, "faust", "agent", "agent") == [("no agent", 0), ("no agent", 0)]

    logs.configure("json")
    for _ in range(20):
        logging.getLogger("aiokafka.client").error("no broker")
    assert [line["event"] for line in lines(capsys)] == ["no broker"]


def test_everything_is_said_at_debug(capsys):
    logs.configure("json", "DEBUG")
    logging.getLogger("aiokafka.consumer").debug("joined")
    logs.log.debug("step")
    assert [line["event"] for line in lines(capsys)] == ["joined", "step"]


def test_an_exception_brings_its_stack(capsys):
    logs.configure("json")
    try:
        {}["k"]
    except KeyError:
        logs.log.exception("failed")
        logging.getLogger("mode").exception("crashed")
    assert all("KeyError" in line["exception"] for line in lines(capsys))


def test_for_people_it_is_text(capsys):
    logs.configure("console")
    logs.log.info("started", port=8104)
    text = capsys.readouterr().err
    assert "started" in text
    assert "port=8104" in text


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="log level 'LOUD': expected one of"):
        logs.configure(level="LOUD")
