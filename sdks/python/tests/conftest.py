"""The server that `sdks/python/test` has started for these tests."""

from __future__ import annotations

import os
from typing import Iterator

import pytest

from haldir_client import Haldir, _transport

URL = os.environ["SERVER_URL"]
KEY = os.environ["SERVER_KEY"]
BINARY = os.environ["SERVER_BIN"]


@pytest.fixture
def client() -> Iterator[Haldir]:
    with Haldir(URL, KEY) as made:
        yield made


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between attempts are too short to be noticed."""
    monkeypatch.setattr(_transport, "FIRST_WAIT_SECONDS", 0.001)
