"""Files of rows: what cannot be used is named with its line."""

import pytest

from dlp_local.core.errors import InputError
from dlp_local.packs.example_rows import read_labelled_rows


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds no examples"),
        (b'{"text": "a"}', r"line 1: has no adapter. Write \{\"text\": \"…\", \"adapter\": \"…\"\}"),
        (b'\n{"adapter": "sql"}', "line 2: has no text"),
        (b'{"text": "a", "adapter": 3}', "line 1: has no adapter"),
        (b'{"text": "  ", "adapter": "sql"}', "line 1: has no text"),
        (b"[1]", "line 1: has no text"),
        (b"not json", "line 1: is not JSON"),
        (b"\xff", "line 1: is not UTF-8"),
    ],
)
def test_rows_that_cannot_be_used_are_named_with_their_line(tmp_path, content, reason):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read_labelled_rows(file)
    with pytest.raises(InputError, match=r"none\.jsonl: cannot be read"):
        read_labelled_rows(tmp_path / "none.jsonl")


def test_what_python_writes_for_a_missing_number_is_no_matter_in_a_field_that_is_not_read(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"text": "a", "adapter": "sql", "score": NaN}')
    assert len(read_labelled_rows(file)) == 1
