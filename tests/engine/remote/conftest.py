"""A vLLM of the tests, and the engine over it."""

import pytest

from tests.support import fake_vllm
from tests.support.vllm_engine import engine_at


@pytest.fixture
def fake(bundled):
    with fake_vllm.running(bundled / "backbone.gguf") as running:
        yield running


@pytest.fixture
def engine(fake, bundled, tmp_path):
    with engine_at(fake, bundled, tmp_path) as opened:
        yield opened
