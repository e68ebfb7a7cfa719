"""A backbone of one layer, for the adapters that are written by hand."""

import pytest

from tests.support.peft_folder import write_backbone


@pytest.fixture
def backbone(tmp_path):
    return write_backbone(tmp_path / "b.gguf")
