"""Numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.text import about_time

TIMES = {
    0: "about a minute", 80: "about a minute", 100: "about 2 minutes", 170: "about 3 minutes", 3600: "about 60 minutes",
    5400: "about 2 hours", 40_000: "about 11 hours",
}  # fmt: skip


@pytest.mark.parametrize("seconds", TIMES)
def test_an_estimated_time_is_in_whole_minutes_or_hours(seconds):
    assert about_time(seconds) == TIMES[seconds]


@given(st.floats(0, 1e9))
def test_it_is_never_none_at_all(seconds):
    assert " 0" not in about_time(seconds)
