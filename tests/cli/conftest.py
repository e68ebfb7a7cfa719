"""The command line is tried in processes of its own, which need not hash the bundled pack anew each time."""

import pytest


@pytest.fixture(autouse=True)
def hashes_of_earlier_tests(caches_of_earlier_tests):
    """Nothing more."""
