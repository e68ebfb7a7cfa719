"""What may have no end is refused, or read with a bound."""

import io
import os
import sys
from pathlib import Path

import pytest

from dlp_local.core import files
from dlp_local.core.errors import InputError
from dlp_local.core.files import open_file, read_bytes, utf8_lines


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes with a name in a folder")
@pytest.mark.parametrize("kind", ["a pipe", "a device"])
def test_what_may_have_no_end_is_not_read_as_a_file(tmp_path, kind):
    path = tmp_path / "rows" if kind == "a pipe" else Path(os.devnull)
    if kind == "a pipe":
        os.mkfifo(path)
    with pytest.raises(InputError, match="it is a pipe or a device, and no file"):
        read_bytes(path, 10, "Name another file.")
    with pytest.raises(OSError, match="it is a pipe or a device, and no file"):
        open_file(path)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="a folder of POSIX")
def test_what_the_shell_has_opened_is_read_with_a_bound():
    for text, refused in ((b"rows", False), (b"x" * 11, True)):
        reads, writes = os.pipe()
        os.write(writes, text)
        os.close(writes)
        try:
            if refused:
                with pytest.raises(InputError, match="is larger than"):
                    read_bytes(Path(f"/dev/fd/{reads}"), 10, "Give fewer rows.")
            else:
                assert read_bytes(Path(f"/dev/fd/{reads}"), 10, "Give fewer rows.") == text
        finally:
            os.close(reads)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_without_an_end_is_refused(monkeypatch, encoding):
    monkeypatch.setattr(files, "MAX_LINE", 100)
    lines = "x" * 40 + "\n" + "x" * 101
    with pytest.raises(InputError, match="rows: has a line of more than"):
        list(utf8_lines(io.BytesIO(lines.encode(encoding)), "rows"))
    assert len(list(utf8_lines(io.BytesIO(("x" * 40 + "\n").encode(encoding) * 9), "rows"))) >= 9
