"""The real thing in a real terminal: `python -m dlp_local chat` in tmux, 80×24."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from dlp_local.history import History

ROOT = Path(__file__).parents[2]
SECONDS = 60.0

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """A tmux server of its own with one pane."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._code = folder, folder / "exit_code"
        self._runs = 0

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-u", "-S", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    @property
    def _socket(self) -> str:
        return str(self._folder / f"{self._runs}.sock")

    def run(self, command: str) -> None:
        self._runs += 1
        self._code.unlink(missing_ok=True)
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
    monkeypatch.setenv("DLP_LOCAL_PACK", "bundled")
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


def test_a_killed_window_is_resumed_with_the_message_the_part_and_the_draft(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = {"TEMPERATURE": "5", "TOP_K": "0", "TOP_P": "1", "MIN_P": "0", "SEED": "1", "MAX_TOKENS": "4000"}
    for name, value in noise.items():
        monkeypatch.setenv(f"DLP_LOCAL_SAMPLING__{name}", value)
    terminal.run(f"{sys.executable} -m dlp_local chat")
    terminal.sees("ready")
    terminal.keys("-l", "/mix base")
    terminal.keys("Enter")
    terminal.sees("pinned base")  # what followed at once would be a line of one paste
    terminal.keys("-l", "write on")
    terminal.keys("Enter")
    history = History(Path(os.environ["DLP_LOCAL_DATA"]) / "history.db")
    wait_until(lambda: (last := history.last()) and history.conversation(last).turns[0].answer)
    number = history.last()
    assert number
    kill(terminal)
    (turn,) = history.conversation(number).turns
    assert turn.state == "sent"
    terminal.run(f"{sys.executable} -m dlp_local chat --resume")
    terminal.sees("write on", turn.answer.split()[0], "This answer ended in the middle", "broken off")

    terminal.keys("-l", "not sent yet")
    wait_until(lambda: "not sent yet" in stored_drafts())  # the other window's, which this history does not offer
    kill(terminal)
    terminal.run(f"{sys.executable} -m dlp_local chat --resume")
    terminal.sees("not sent yet")


def wait_until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def stored_drafts() -> list[str]:
    """The drafts of all windows, as they are on the disk."""
    with closing(sqlite3.connect(Path(os.environ["DLP_LOCAL_DATA"]) / "history.db")) as database:
        return [text for (text,) in database.execute("SELECT text FROM window_drafts")]


def kill(terminal: Terminal) -> None:
    """`kill -9` of the program in the pane, and its terminal is gone, too."""
    shell = psutil.Process(int(terminal.tmux("list-panes", "-F", "#{pane_pid}")))
    os.kill(shell.children()[0].pid, signal.SIGKILL)
    assert terminal.exit_code() == 128 + signal.SIGKILL
    terminal.tmux("kill-server")
