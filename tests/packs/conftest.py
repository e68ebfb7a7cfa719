"""A pack of the user's own, which a test may change."""

from pathlib import Path

import pytest

from dlp_local.packs.create import copy_pack


@pytest.fixture
def mine(bundled) -> Path:
    """A pack of the user's own, made from the bundled one."""
    return copy_pack("mine", bundled)
