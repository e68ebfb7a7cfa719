"""A file is either whole or not there."""

import codecs
import io
import multiprocessing
import os
import re
import signal
import stat
import sys
import tempfile
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import (
    decode,
    inside_folder,
    is_file,
    is_folder,
    is_there,
    make_folder,
    read_bytes,
    temporary_folder,
    utf8_lines,
    write_new,
    written_aside,
)

WRITERS = 4
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\ufeff"))


def test_a_folder_is_made_with_those_that_it_is_in_or_what_is_in_its_way_is_named(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    file = tmp_path / "file"
    file.write_text("x")
    for folder in (file, file / "packs", file / "a" / "b"):
        with pytest.raises(OSError, match=re.escape(f"{file} is no folder")):
            make_folder(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_folder_that_cannot_be_made_behind_a_link_to_nothing_is_told_so(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for folder in (tmp_path / "link", tmp_path / "link" / "packs"):
        with pytest.raises(OSError, match="link is a link to nothing"):
            make_folder(folder)


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


@pytest.mark.parametrize("name", ["y.md", "archive.tar.gz", "no_suffix", ".hidden", "ö" * 120 + ".json"])
def test_no_file_of_the_user_is_touched_whatever_it_is_called(tmp_path, name):
    mine = [
        tmp_path / f"{stem}{end}" for stem in ("y", "archive.tar", "no_suffix", ".hidden") for end in (".part", "~")
    ]
    mine += [tmp_path / "y.part.md", tmp_path / "archive.tar.part.gz"]
    for path in mine:
        path.write_text("mine")
    write_new(tmp_path / name, "text")
    assert (tmp_path / name).read_text() == "text"
    assert {path.read_text() for path in mine} == {"mine"}
    assert len(list(tmp_path.iterdir())) == len(mine) + 1


def _writes_one_file(path, number, start):
    start.wait(60)
    for _ in range(20):
        with written_aside(path) as part, part.open("w") as file:
            for _ in range(50):
                file.write(f"{number}\n" * 100)
                file.flush()


def test_of_several_writers_of_one_file_each_writes_it_whole(tmp_path):
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(WRITERS)
    path = tmp_path / "file.txt"
    writers = [context.Process(target=_writes_one_file, args=(path, number, start)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    lines = path.read_text().splitlines()
    assert len(lines) == 5000
    assert len(set(lines)) == 1
    assert list(tmp_path.iterdir()) == [path]


def _is_killed_while_writing(path, half):
    with written_aside(path) as part:
        part.write_text("half")
        half.set()
        signal.pause()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old")
    context = multiprocessing.get_context("spawn")
    half = context.Event()
    writer = context.Process(target=_is_killed_while_writing, args=(path, half))
    writer.start()
    assert half.wait(60)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert path.read_text() == "old"
    with written_aside(path) as part:
        part.write_text("new")
    assert path.read_text() == "new"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_file_has_the_rights_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_new(tmp_path / "x.md", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.md").stat().st_mode) == 0o666 & ~mask


def test_a_new_file_takes_the_place_of_none_also_of_one_that_came_meanwhile(tmp_path):
    path = tmp_path / "x.md"

    def write():
        with written_aside(path, replace=False) as part:
            part.write_text("new")
            path.write_text("came meanwhile")

    with pytest.raises(FileExistsError):
        write()
    with pytest.raises(InputError, match=r"x\.md: is there already"):
        write_new(path, "new")
    assert path.read_text() == "came meanwhile"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_hard_links_is_written_to_as_well(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(1, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    write_new(tmp_path / "x.md", "text")
    assert (tmp_path / "x.md").read_text() == "text"
    with pytest.raises(InputError, match="is there already"):
        write_new(tmp_path / "x.md", "other")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["text"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_takes_no_more_is_told_and_nothing_is_left(tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(InputError, match=r"x\.md: cannot be written \(File too large\)"):
            write_new(tmp_path / "x.md", "text " * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@given(text=texts, encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_a_text_is_read_whatever_unicode_it_is_in(text, encoding):
    text = text.replace("\0", "")  # in UTF-16, the mark and a zero are the mark of UTF-32
    assert decode(text.encode(encoding), "x") == text


@given(text=texts)
def test_line_ends_of_windows_are_newlines(text):
    assert decode(text.replace("\n", "\r\n").encode(), "x") == text


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF8, codecs.BOM_UTF32_BE, b""])
def test_what_is_no_text_is_told_with_what_helps(mark):
    with pytest.raises(InputError, match=r"x: is no.*Save it as UTF-8"):
        decode(mark + b"\xd8\xff\xd8", "x")


def test_a_temporary_folder_is_gone_at_the_end_and_told_where_none_can_be_made(tmp_path, monkeypatch):
    with temporary_folder() as folder:
        (folder / "file").write_text("x")
    assert not folder.exists()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no temporary folder can be made"), temporary_folder():
        pass


@given(st.text(max_size=20) | st.from_regex(r"[a-z./\\:]{1,12}", fullmatch=True))
def test_a_path_that_is_accepted_stays_inside_its_folder(value):
    try:
        accepted = inside_folder(value)
    except ValueError:
        return
    assert accepted == value
    folder = PurePosixPath("/folder")
    assert (folder / accepted).is_relative_to(folder)
    assert ".." not in (folder / accepted).parts
    assert not set(value) & set("\\:\0\n")


@pytest.mark.parametrize("value", ["", ".", "..", "../a", "a/../../b", "/a", "C:/a", "a\\b", "a\nb", "a\0"])
def test_a_path_that_could_leave_its_folder_is_refused(value):
    with pytest.raises(ValueError, match="must be a file inside the folder"):
        inside_folder(value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32"])
@given(texts.map(lambda text: text.replace("\0", "")))
def test_the_lines_of_a_file_are_the_same_in_every_encoding_that_has_a_mark(encoding, text):
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    raw = marks.get(encoding, b"") + text.encode(encoding)
    lines = [line.decode("utf-8-sig").rstrip("\n") for line in utf8_lines(io.BytesIO(raw), "rows")]
    assert [line for line in lines if line] == [line for line in text.split("\n") if line]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["hi", "one\ntwo\n", "Grüße, наш\nand a line", "x" * 9999 + "\n天"])
def test_utf_16_without_a_mark_is_known_by_its_zeros(encoding, text):
    raw = text.encode(encoding)
    assert decode(raw, "x") == text
    assert b"".join(utf8_lines(io.BytesIO(raw), "x")).decode().replace("\n", "") == text.replace("\n", "")


def test_utf_16_that_does_not_show_itself_is_named_as_what_it_may_be():
    with pytest.raises(InputError, match=r"x: is not UTF-8 \(byte 2; it may be UTF-16\)\. Save it as UTF-8"):
        decode("日本\n".encode("utf-16-be"), "x")


def test_what_is_no_text_after_such_a_mark_is_told():
    with pytest.raises(InputError, match="rows: is no text, though it begins like utf-16-le"):
        list(utf8_lines(io.BytesIO(codecs.BOM_UTF16_LE + b"a"), "rows"))


def test_the_kind_of_error_for_a_file_that_cannot_be_read_is_the_callers(tmp_path):
    with pytest.raises(PackError, match="cannot be read"):
        read_bytes(tmp_path / "none", 10, "Name another file.", PackError)
    (tmp_path / "long").write_bytes(b"x" * 11)
    with pytest.raises(PackError, match="is larger than"):
        read_bytes(tmp_path / "long", 10, "Name another file.", PackError)


def test_what_cannot_be_looked_for_is_not_there(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    assert (is_there(file), is_file(file), is_folder(file)) == (True, True, False)
    assert (is_there(tmp_path), is_file(tmp_path), is_folder(tmp_path)) == (True, False, True)
    for path in (tmp_path / ("x" * 300), tmp_path / "a\0b", file / "x", tmp_path / "none"):
        assert (is_there(path), is_file(path), is_folder(path)) == (False, False, False)
