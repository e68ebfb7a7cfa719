"""A terminal of 80×24 that a person sits at: tmux, with keys to press and a screen to look at."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 60.0

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


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
        """Runs a command in a new terminal; the one before is closed."""
        if self._runs:
            self.close()
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

    def say(self, text: str) -> None:
        """Types a message and sends it."""
        self.keys("-l", text)
        self.keys("Enter")

    def kill(self) -> None:
        """`kill -9` of the program in the pane, and its terminal is gone, too."""
        self.signal(signal.SIGKILL)
        assert self.exit_code() == 128 + signal.SIGKILL
        self.tmux("kill-server")

    def signal(self, number: int) -> None:
        """Sends a signal to the program in the pane."""
        self.program().send_signal(number)

    def program(self) -> psutil.Process:
        """The program in the pane."""
        return psutil.Process(int(self.tmux("list-panes", "-F", "#{pane_pid}"))).children()[0]

    def modes(self) -> dict[str, bool]:
        """What a program has set of the terminal: the alternate screen, the mouse, the cursor."""
        names = ("alternate_on", "mouse_any_flag", "cursor_flag")
        flags = self.tmux("list-panes", "-F", " ".join(f"#{{{name}}}" for name in names)).split()
        return {name: flag == "1" for name, flag in zip(names, flags, strict=True)}

    def close(self) -> None:
        """Closes the terminal; what still runs in it is to end with it."""
        try:
            left = [self.program()]
        except (subprocess.CalledProcessError, psutil.Error, IndexError, ValueError):  # it is gone, or going
            left = []
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], check=False, capture_output=True)
        _, alive = psutil.wait_procs(left, timeout=30)
        for process in alive:
            process.kill()
        assert not alive, "a program outlived its terminal"

    def exit_code(self) -> int:
        self._until(self._code.exists)
        return int(self._code.read_text())

    def _until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, f"waited in vain; the terminal says\n{self.screen()}"
            time.sleep(0.1)


def wait_until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
