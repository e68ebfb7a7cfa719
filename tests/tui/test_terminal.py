"""The real thing in a real terminal: `python -m dlp_local chat` in tmux, 80×24."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 120.0

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """A tmux server of its own with one pane."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "tmux.sock")
        self._code = folder / "exit_code"

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-u", "-S", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    def run(self, command: str) -> None:
        line = f"{command}; echo $? >{self._code}.part; mv {self._code}.part {self._code}; sleep 600"
        self.tmux("new-session", "-d", "-x", "80", "-y", "24", "-c", str(ROOT), line)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def sees(self, *texts: str) -> str:
        self._until(lambda: all(text in self.screen() for text in texts))
        return self.screen()

    def exit_code(self) -> int:
        self._until(self._code.exists)
        return int(self._code.read_text())

    def _until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, f"waited in vain; the terminal says\n{self.screen()}"
            time.sleep(0.1)


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    for name in [name for name in os.environ if name.startswith("DLP_LOCAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DLP_LOCAL_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("DLP_LOCAL_DATA", str(tmp_path / "stored"))
    opened = Terminal(tmp_path)
    yield opened
    subprocess.run(["tmux", "-S", opened._socket, "kill-server"], check=False, capture_output=True)


def test_a_conversation_in_a_terminal(terminal: Terminal) -> None:
    terminal.run(f"{sys.executable} -m dlp_local chat")
    terminal.sees("Try for example", "Enter sends")
    terminal.keys("-l", "tar: extract archive.tar.gz into /tmp")
    terminal.keys("Enter")
    screen = terminal.sees(" tar: extract archive.tar.gz into /tmp", "ms route", "first token", "ready")
    assert "shell" in screen
    assert "tar " in screen.split("into /tmp")[-1]
    terminal.keys("C-q")
    assert terminal.exit_code() == 0
    assert "Traceback" not in terminal.screen()
