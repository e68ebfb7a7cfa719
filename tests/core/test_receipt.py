"""The words of a receipt."""

import pytest

from dlp_local.core.receipt import trimmed_note


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        (0, ""),
        (1, "The oldest turn no longer fits and was left out of this answer."),
        (3, "The oldest 3 turns no longer fit and were left out of this answer."),
    ],
)
def test_what_was_left_out_is_told_in_whole_words(turns, said):
    assert trimmed_note(turns) == said
