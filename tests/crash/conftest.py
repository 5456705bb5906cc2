"""The toy row, for the rules of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.accounts import Accounts, accounts
from tests.support.kafka import Kafka


@pytest.fixture
def toy_row(kafka: Kafka, prefix: str, tmp_path: Path) -> Iterator[Accounts]:
    """Topics are there, no worker runs yet; those that are started end with the test."""
    with accounts(kafka, prefix, tmp_path) as row:
        yield row
