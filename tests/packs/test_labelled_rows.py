"""Files of rows: what cannot be used is named with its line."""

import pytest

from dlp_local.core.errors import InputError
from dlp_local.packs.example_rows import check_examples_of, read_labelled_rows, read_rows


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


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rows.jsonl", '{"text": "a", "adapter": "sql"}\n{"text": "b", "adapter": "shell"}',
         "line 2: is a message of 'shell'. Give those of sql alone"),
        ("ROWS.NDJSON", '{"text": "a", "adapter": "shell"}', "line 1: is a message of 'shell'"),
        ("rows.txt", 'how many cats\n{"text": "how many dogs"}', "line 2: is JSON, and would be the message"),
        ("rows.json", '[\n{"text": "how many cats"}\n]', "no file of messages by its ending"),
        ("rows.csv", "text,adapter\nhow many cats,sql", "no file of messages by its ending"),
    ],
)  # fmt: skip
def test_what_would_be_other_messages_than_were_meant_is_no_file_of_examples(tmp_path, name, content, reason):
    file = tmp_path / name
    file.write_text(content, "utf-8")
    with pytest.raises(InputError, match=reason):
        check_examples_of("sql", file)


@pytest.mark.parametrize(
    ("name", "content", "messages"),
    [
        ("rows.jsonl", '{"text": "a", "adapter": "sql"}\n{"text": "b"}\n', ("a", "b")),
        ("rows.ndjson", '{"text": "a"}\n', ("a",)),
        ("rows.txt", 'fix this JSON: {"text": 1}\n{"a": 1}\n', ('fix this JSON: {"text": 1}', '{"a": 1}')),
    ],
)
def test_the_messages_of_one_adapter_are_its_examples(tmp_path, name, content, messages):
    file = tmp_path / name
    file.write_text(content, "utf-8")
    check_examples_of("sql", file)
    assert read_rows(file) == messages
