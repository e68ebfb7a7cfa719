"""Files that go along with a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
