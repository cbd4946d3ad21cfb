"""The server that `sdks/python/test` has started for these tests."""

from __future__ import annotations

import os
from typing import Iterator

import pytest

from haldir_client import Haldir

URL = os.environ["SERVER_URL"]
KEY = os.environ["SERVER_KEY"]
BINARY = os.environ["SERVER_BIN"]


@pytest.fixture
def client() -> Iterator[Haldir]:
    with Haldir(URL, KEY) as made:
        yield made
