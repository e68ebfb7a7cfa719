"""Which program a message is written in."""

import pytest

from tui.editor import DEFAULT_EDITOR, editor_command, split_command


@pytest.mark.parametrize(
    ("text", "posix", "words"),
    [
        ("code --wait", True, ["code", "--wait"]),
        ("'/opt/my editor' -n", True, ["/opt/my editor", "-n"]),
        (r"C:\Windows\notepad.exe", False, [r"C:\Windows\notepad.exe"]),
        (r'"C:\Program Files\Editor\e.exe" --wait', False, [r"C:\Program Files\Editor\e.exe", "--wait"]),
    ],
)
def test_an_editor_is_split_as_its_system_does_it(text, posix, words):
    assert split_command(text, posix=posix) == words


def test_an_editor_of_blanks_alone_is_none(monkeypatch):
    monkeypatch.setenv("VISUAL", " ")
    monkeypatch.setenv("EDITOR", "")
    assert editor_command() == [DEFAULT_EDITOR]
