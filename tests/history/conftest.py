"""A file for a history."""

import pytest


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data" / "history.db"
