"""A file is either whole or not there."""

import tempfile

import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.files import temporary_folder, written_aside


def test_what_was_written_takes_the_place_of_the_old_file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old")
    with written_aside(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old")

    def write():
        with written_aside(path) as part:
            part.write_text("half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_folder_is_gone_at_the_end_and_told_where_none_can_be_made(tmp_path, monkeypatch):
    with temporary_folder() as folder:
        (folder / "file").write_text("x")
    assert not folder.exists()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no temporary folder can be made"), temporary_folder():
        pass
