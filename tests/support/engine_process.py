"""What the tests of the engine's process say to it."""

import sys

import pytest

from dlp_local.core.events import TextDelta
from dlp_local.core.settings import Sampling

MESSAGE = "hello, what can you do?"
ENDLESS = Sampling(temperature=5, top_k=0, top_p=1, min_p=0, seed=1, max_tokens=900)
"""Tokens at random, for about a second."""

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))
