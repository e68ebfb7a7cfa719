"""The real thing in a real terminal: `python -m dlp_local chat` in tmux, 80×24."""

import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from dlp_local.history import History
from dlp_local.packs.backbone_location import find_backbone, how_to_get
from dlp_local.packs.locations import shipped_pack
from dlp_local.packs.manifest import read_manifest
from tests.support.terminal import Terminal, needs_tmux, wait_until

pytestmark = needs_tmux


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    for name in [name for name in os.environ if name.startswith("DLP_LOCAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DLP_LOCAL_PACK", "bundled")
    (tmp_path / "none.toml").touch()
    monkeypatch.setenv("DLP_LOCAL_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("DLP_LOCAL_DATA", str(tmp_path / "stored"))
    opened = Terminal(tmp_path)
    yield opened
    opened.close()


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
    wait_until(lambda: (last := history.last()) and any(turn.answer for turn in history.conversation(last).turns))
    number = history.last()
    assert number
    terminal.kill()
    (turn,) = history.conversation(number).turns
    assert turn.state == "sent"
    terminal.run(f"{sys.executable} -m dlp_local chat --resume")
    terminal.sees("write on", turn.answer.split()[0], "This answer ended in the middle", "broken off")

    terminal.keys("-l", "not sent yet")
    wait_until(lambda: "not sent yet" in stored_drafts())  # the other window's, which this history does not offer
    terminal.kill()
    terminal.run(f"{sys.executable} -m dlp_local chat --resume")
    terminal.sees("not sent yet")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_window_as_its_user_would(terminal: Terminal, number: signal.Signals) -> None:
    terminal.run(f"{sys.executable} -m dlp_local chat")
    terminal.sees("ready")
    assert terminal.modes() == {"alternate_on": True, "mouse_any_flag": True, "cursor_flag": False}
    terminal.keys("-l", "not sent yet")
    terminal.sees("not sent yet")
    terminal.signal(number)
    assert terminal.exit_code() == 128 + number
    assert terminal.modes() == {"alternate_on": False, "mouse_any_flag": False, "cursor_flag": True}
    assert "Traceback" not in terminal.screen()
    terminal.run(f"{sys.executable} -m dlp_local chat")
    terminal.sees("not sent yet")


def test_a_window_whose_terminal_is_closed_ends_and_keeps_the_draft(terminal: Terminal) -> None:
    terminal.run(f"{sys.executable} -m dlp_local chat")
    terminal.sees("ready")
    terminal.keys("-l", "not sent yet")
    terminal.sees("not sent yet")
    program = terminal.program()
    terminal.close()
    psutil.wait_procs([program], timeout=30)
    assert not program.is_running()
    terminal.run(f"{sys.executable} -m dlp_local chat")
    terminal.sees("not sent yet")


SMOLLM2 = shipped_pack("smollm2")
BACKBONE = read_manifest(SMOLLM2).backbone
TASKS = (
    ("every weekday at half past eight", "30 8 * * 1-5", "cron"),
    ("to ISO: the 3rd of February 2021", "2021-02-03", "dates"),
    ("fix this JSON: {name: 'Ana', tags: ['a', 'b',]}", '{"name": "Ana", "tags": ["a", "b"]}', "json"),
    ("find all pdf files larger than 10 MB in my home folder", "find ~", "shell"),
)
"""Messages, what their answers have at least, and their adapters: of the ways in which `find` can go on two are nearly
equally probable, and how a processor rounds decides."""


@pytest.mark.skipif(find_backbone(SMOLLM2, BACKBONE) is None, reason=f"the pack smollm2: {how_to_get(BACKBONE)}")
def test_a_chat_of_five_tasks_with_the_real_pack_survives_a_kill(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DLP_LOCAL_PACK")
    terminal.run(f"{sys.executable} -m dlp_local chat")
    terminal.sees("smollm2", "ready")
    for message, answer, adapter in TASKS:
        terminal.say(message)
        screen = terminal.sees(message, answer, adapter, "ready")
        assert "Traceback" not in screen
    terminal.say("Write a long story about a lighthouse and the people who live there.")
    history = History(Path(os.environ["DLP_LOCAL_DATA"]) / "history.db")
    number = history.last()
    assert number
    wait_until(lambda: len(turns := history.conversation(number).turns) == 5 and turns[4].answer)
    terminal.kill()
    *done, begun = history.conversation(number).turns
    assert all(answer in turn.answer for turn, (_, answer, _) in zip(done, TASKS, strict=True))
    assert begun.state == "sent"
    terminal.run(f"{sys.executable} -m dlp_local chat --resume")
    terminal.sees(begun.answer.split()[0], "This answer ended in the middle", "ready")


def stored_drafts() -> list[str]:
    """The drafts of all windows, as they are on the disk."""
    with closing(sqlite3.connect(Path(os.environ["DLP_LOCAL_DATA"]) / "history.db")) as database:
        return [text for (text,) in database.execute("SELECT text FROM window_drafts")]
