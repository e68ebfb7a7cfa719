"""An engine in a process of its own, for the tests of a file."""

import pytest

from dlp_local.engine.local.process.client import EngineProcess
from tests.support.engines import open_engine


@pytest.fixture(scope="module")
def engine(bundled):
    opened = open_engine(bundled, EngineProcess)
    yield opened
    opened.close()
