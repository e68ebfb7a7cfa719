"""The command line is tried in processes of its own, which need not hash the bundled pack anew each time."""

import pytest

from dlp_local.history import open_history


@pytest.fixture(autouse=True)
def hashes_of_earlier_tests(caches_of_earlier_tests):
    """Nothing more."""


@pytest.fixture
def stored():
    history, notice = open_history()
    assert not notice
    yield history
    history.close()
