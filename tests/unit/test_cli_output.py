import pytest

from app.cli.output import put_fields, put_rows, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("payment-service", "payment-service"),
        ("dürfen 支払い", "dürfen 支払い"),
        ("\x1b[2Jpay\x00", "\\x1b[2Jpay\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("a\tb", "a\tb"),
    ],
)
def test_no_name_speaks_to_the_terminal(text, shown):
    assert visible(text) == shown


def test_it_stays_on_its_line_of_a_table(capsys):
    put_rows([{"name": "pay\x1b[2J\nCLOSED"}], {"name": "BREAKER"}, "none")
    put_fields({"name": "pay\x1b[2J\r"})
    assert capsys.readouterr().out == "BREAKER\npay\\x1b[2J CLOSED\nname  pay\\x1b[2J\n"
