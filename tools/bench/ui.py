"""What the chat window costs a person, and the model: on the bundled pack, in a pseudo-terminal (Linux, macOS).

    python -m tools.bench.ui --rounds 5

Medians over the rounds, with the smallest and the largest:
 - first paint: from the start of `dlp-local chat` until the prompt is on the terminal;
 - a key: from a key press until its letter is on the terminal, while the model writes;
 - 2,000 messages: how much later the last of them is on the terminal than an empty window's prompt;
 - search: the slowest of some searches in 50,000 messages;
 - streaming: tokens a second of an answer in the window / of the same answer by `ask --stream >/dev/null`.
"""

from __future__ import annotations

import argparse
import os
import pty
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dlp_local.history import History

PROGRAM = [sys.executable, "-m", "dlp_local"]
PROMPT, LETTER = "rite a message", "ж"  # the cursor stands on the first letter
LONG = {
    f"DLP_LOCAL_SAMPLING__{name}": value
    for name, value in {"TEMPERATURE": "5", "TOP_K": "0", "TOP_P": "1", "MIN_P": "0", "SEED": "1"}.items()
} | {"DLP_LOCAL_SAMPLING__MAX_TOKENS": "900"}
"""Noise, so that the answer does not end before its 900 tokens."""

WORDS = "the a of shell sql list table rows branch archive extract Friday people music order limit name date".split()
SEARCHES = ("archive", "the", "fri", "table rows", "extract archive lis")


class Window:
    """A chat in a pseudo-terminal of 120×40."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self._seen = bytearray()
        self.started = time.perf_counter()
        self.pid, self._terminal = pty.fork()
        if not self.pid:
            size = {"COLUMNS": "120", "LINES": "40", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.execvpe(
                PROGRAM[0], [*PROGRAM, "chat", *arguments], os.environ | size | LONG | {"DLP_LOCAL_DATA": str(data)}
            )

    def press(self, text: str) -> None:
        """Sends keys."""
        os.write(self._terminal, text.encode())

    def seconds_until(self, text: str, since: float | None = None) -> float:
        """How long it takes until a text is drawn that was not there before."""
        start = time.perf_counter() if since is None else since
        while text.encode() not in self._seen:
            if not select.select([self._terminal], [], [], 60)[0]:
                raise TimeoutError(f"'{text}' was not drawn")
            self._seen += os.read(self._terminal, 1 << 16)
        self._seen.clear()
        return time.perf_counter() - start

    def close(self) -> None:
        """Ends it at once."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)


def first_paint(data: Path) -> float:
    """Seconds."""
    window = Window(data)
    try:
        return window.seconds_until(PROMPT, window.started)
    finally:
        window.close()


def open_long(data: Path) -> float:
    """Seconds until the last of 2,000 messages is drawn, less those to an empty window."""
    with_last = Window(data, "--resume")
    try:
        return with_last.seconds_until("question999", with_last.started) - first_paint(data)
    finally:
        with_last.close()


def slowest_key(data: Path) -> float:
    """The slowest of twenty keys while the model writes, in seconds."""
    window = Window(data)
    try:
        window.seconds_until("ready", window.started)
        window.press("/mix base\r")
        window.seconds_until("pinned")
        window.press("go on\r")
        window.seconds_until("generating")
        slowest = 0.0
        for _ in range(20):
            window.press(LETTER)
            slowest = max(slowest, window.seconds_until(LETTER))
        return slowest
    finally:
        window.close()


def window_speed(data: Path) -> float:
    """Tokens a second of an answer in the window."""
    window = Window(data)
    try:
        window.seconds_until("ready", window.started)
        window.press("/mix base\r")
        window.seconds_until("pinned")
        window.press("go on\r")
        window.seconds_until("first token")
        time.sleep(0.3)
    finally:
        window.close()
    return _last_speed(data)


def ask_speed(data: Path) -> float:
    """Tokens a second of the same answer by `ask --stream`."""
    command = [*PROGRAM, "ask", "--save", "--stream", "--mix", "base", "go on"]
    environment = os.environ | LONG | {"DLP_LOCAL_DATA": str(data)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment)
    return _last_speed(data)


def _last_speed(data: Path) -> float:
    history = History(data / "history.db")
    try:
        done = history.conversation(history.last() or 0).turns[-1].done
        assert done is not None
        return done.tokens_per_second
    finally:
        history.close()


def slowest_search(history: History) -> float:
    """Seconds."""

    def search(words: str) -> float:
        start = time.perf_counter()
        history.search(words, 50)
        return time.perf_counter() - start

    return max(map(search, SEARCHES))


def fill(data: Path, conversations: int, turns: int) -> History:
    """A history of messages of some words each; question999 is in the last turn of each conversation of 1,000."""
    history = History(data / "history.db")
    for number in range(conversations):
        conversation, parent = history.start(), None
        for turn in range(turns):
            words = " ".join(WORDS[(number + turn * k) % len(WORDS)] for k in range(1, 12))
            added = history.add_turn(conversation, parent, f"question{turn} {words}", "bundled")
            history.finish(added.id, f"**answer** {turn}: {words}\n\n- {words}", None, "")
            parent = added.id
    return history


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        empty, long, large = (Path(folder) / name for name in ("empty", "long", "large"))
        fill(long, 1, 1000).close()
        history = fill(large, 250, 100)
        first_paint(empty)
        figures: dict[str, tuple[str, Callable[[], float]]] = {
            "first paint": ("ms", lambda: 1000 * first_paint(empty)),
            "slowest key": ("ms", lambda: 1000 * slowest_key(empty)),
            "2,000 messages": ("ms", lambda: 1000 * open_long(long)),
            "search": ("ms", lambda: 1000 * slowest_search(history)),
            "streaming": ("", lambda: window_speed(empty) / ask_speed(empty)),
        }
        for name, (unit, measure) in figures.items():
            values = [measure() for _ in range(rounds)]
            middle, low, high = statistics.median(values), min(values), max(values)
            print(f"| {name} | {middle:.3g} {unit} | {low:.3g} | {high:.3g} |", flush=True)
        history.close()


if __name__ == "__main__":
    main()
