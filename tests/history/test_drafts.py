"""Drafts: each window has its own, and one whose window is gone is offered again."""

import multiprocessing
import os
import signal
import sys

import pytest

from dlp_local.core.errors import HistoryError
from dlp_local.history import History


@pytest.fixture
def file(tmp_path):
    return tmp_path / "history.db"


@pytest.fixture
def windows(file):
    opened = [History(file), History(file)]
    yield opened
    for window in opened:
        window.close()


@pytest.mark.parametrize("in_a_conversation", [False, True])
def test_each_window_has_its_own_draft(windows, in_a_conversation):
    one, other = windows
    number = one.start() if in_a_conversation else None
    one.set_draft(number, "of one")
    assert other.draft(number) == ""
    other.set_draft(number, "of the other")
    other.set_draft(number, "")
    assert one.draft(number) == "of one"


def test_the_draft_of_a_closed_window_is_offered_to_one_other_window(file, windows):
    closed = History(file)
    closed.set_draft(None, "half a message")
    closed.close()
    one, other = windows
    assert one.draft(None) == "half a message"
    assert other.draft(None) == ""
    one.set_draft(None, "")
    assert other.draft(None) == one.draft(None) == ""


@pytest.mark.parametrize("number", [0, -1, 99])
def test_a_conversation_that_there_is_not_has_no_draft(windows, number):
    windows[0].set_draft(None, "for a new one")
    with pytest.raises(HistoryError, match="there no more"):
        windows[0].set_draft(number, "lost")
    assert windows[0].draft(number) == ""
    assert windows[0].draft(None) == "for a new one"


def test_a_draft_of_a_conversation_is_offered_in_that_conversation_alone(file, windows):
    one, _ = windows
    first, second = one.start(), one.start()
    closed = History(file)
    closed.set_draft(first, "for the first")
    closed.close()
    assert one.draft(second) == one.draft(None) == ""
    assert one.draft(first) == "for the first"


def _writes_a_draft_until_killed(file, ready):
    history = History(file)
    history.set_draft(None, "written before the kill")
    ready.set()
    signal.pause()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_the_draft_of_a_running_program_is_its_own_and_offered_after_it_was_killed(file, windows):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_writes_a_draft_until_killed, args=(file, ready))
    process.start()
    assert ready.wait(60)
    one, _ = windows
    assert one.draft(None) == ""
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert one.draft(None) == "written before the kill"
