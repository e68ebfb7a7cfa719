"""Files that go along with a message."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.core.user_message import UserMessage
from tests.support.fakes import FakeAssistant
from tests.tui.window import READY, window
from tui.attachments import attach, sizes


@pytest.mark.asyncio
async def test_a_file_goes_along_with_its_size_shown_and_too_large_a_one_is_refused(tmp_path):
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_text("the contents\n", "utf-8")
    large.write_text("x" * 100_000, "utf-8")
    fake = FakeAssistant()
    async with window(fake, size=(160, 40)) as w:
        w.prompt.fill(f"explain @{small}")
        await w.sees("small.txt 13 B")
        await w.press("enter")
        await w.sees("a fine answer", READY)
        assert fake.calls[0].text == f"explain @{small}\n\nsmall.txt:\n```\nthe contents\n```"
        await w.say(f"explain @{large}")
        await w.sees("100 kB, and about")
        assert w.prompt.text == f"explain @{large}"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("@./missing.txt what does it say?", "missing.txt: is not there"),
        ("what does @missing.txt say?", "missing.txt: is not there"),
        ('what does "x" in @"my talk" say?', "my talk: is not there"),
        ("list @notes/ please", "notes: is a folder"),
        ("list @notes, please", "notes: is a folder"),
        ("@picture.png?", "picture.png: is not UTF-8"),
    ],
)
async def test_a_file_that_cannot_go_along_is_told_before_anything_is_sent(message, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.say(message)
        await w.sees(problem)
        assert w.prompt.text == message
        assert fake.calls == []
        assert w.session.history.conversations() == []


@pytest.mark.parametrize("text", ["ask @alice", "@alice, are you there?", "write to ana@notes.txt", "5 @ 3.50"])
def test_a_name_after_an_at_sign_is_text(text):
    assert attach(text, 1000) == text


@pytest.mark.asyncio
async def test_an_attached_file_is_one_line_that_unfolds(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("first line\nsecond line\n", "utf-8")
    async with window(FakeAssistant(), size=(160, 40)) as w:
        await w.say_and_wait(f"explain @{file}", "a fine answer")
        await w.sees("▸ notes.txt 22 B")
        assert "second line" not in w.text()
        await w.press("ctrl+t")
        await w.sees("▾ notes.txt 22 B", "first line", "second line")
        await w.press("ctrl+t")
        await w.until(lambda: "second line" not in w.text())
        await w.press("f2")
        await w.until(lambda: w.prompt.text == f"explain @{file}")


@given(st.text(alphabet="a`\n: ", max_size=30), st.text(alphabet="b`\n: ", min_size=1, max_size=30))
def test_what_went_along_is_told_apart_from_what_was_written(tmp_path_factory, request_text, contents):
    file = tmp_path_factory.mktemp("attached") / "f.txt"
    file.write_text(contents, "utf-8", newline="")
    message = UserMessage.parse(attach(f"{request_text}x @{file}", 100_000), files_only=True)
    assert message.request == f"{request_text}x @{file}"
    assert [(each.name, each.text) for each in message.attachments] == [("f.txt", contents.rstrip())]


def test_the_frame_tells_a_folder_from_a_file(tmp_path):
    assert sizes(f"@{tmp_path}") == f"{tmp_path}: is a folder"
    assert sizes(f"@{tmp_path}/none.txt") == f"{tmp_path}/none.txt: no file"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of POSIX")
@pytest.mark.parametrize("context_size", [0, 1000])
def test_what_is_no_file_or_has_no_end_never_goes_along(tmp_path, context_size):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/stdin"):
        with pytest.raises(InputError, match="pipe or a device, and no file"):
            attach(f"see @{path} ok", context_size)
        assert sizes(f"see @{path}").endswith("no file")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="a file of Linux that says to be empty")
def test_a_file_that_says_to_be_empty_and_is_not_is_measured_by_what_it_holds():
    assert "VmPeak" in attach("see @/proc/self/status", 100_000)
    with pytest.raises(InputError, match="has more, and about 9 B fit"):
        attach("see @/proc/self/status", 4)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells these names otherwise")
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("./" + "x" * 300 + ".txt", "is too long for a file's name"),
        ("x" * 300 + ".txt", "is too long for a file's name"),
        ("a\0b.txt", "holds a character that no file's name may"),
        ("notes.txt/x", "Not a directory.*Correct the path, or leave out the @"),
    ],
)
def test_a_path_that_can_be_none_is_told_and_not_sent_without_a_word(tmp_path, monkeypatch, name, problem):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("x")
    with pytest.raises(InputError, match=problem):
        attach(f"see @{name} ok", 1000)
    assert sizes(f"see @{name}")
    assert attach(f"see @{'x' * 300} ok", 1000) == f"see @{'x' * 300} ok"


def test_a_file_in_other_quotation_marks_goes_along_and_its_name_routes_nothing(tmp_path):
    (tmp_path / "my file.txt").write_text("the contents")
    for name in ("'{}'", "“{}”"):
        message = attach(f"explain @{name.format(tmp_path / 'my file.txt')}", 1000)
        assert "my file.txt:\n```\nthe contents\n```" in message
        assert UserMessage.parse(message).routed == "explain"
