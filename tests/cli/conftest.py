"""The command line is tried in processes of its own, which need not hash the bundled pack anew each time."""

import pytest

from tests.support.kept_caches import kept_caches


@pytest.fixture(scope="session")
def caches(tmp_path_factory):
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(autouse=True)
def hashes_of_earlier_tests(no_settings_of_the_machine, caches):
    with kept_caches(caches):
        yield
