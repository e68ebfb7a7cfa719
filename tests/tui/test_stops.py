"""A window that goes on after a stop is drawn anew by the loop, never in the middle of what draws."""

import asyncio
import os
import signal
import sys
from types import SimpleNamespace

import pytest

from tui.terminal import draw_after_stops

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGCONT"), reason="this system has no such signal")


@pytest.fixture
def entered(monkeypatch):
    """What an app does with its terminal, by name; `has_it` is whether there is one."""
    done: list[str] = []
    terminal = SimpleNamespace(has_it=True)
    terminal.isatty = lambda: terminal.has_it
    driver = SimpleNamespace(
        can_suspend=True,
        _auto_restart=True,
        suspend_application_mode=lambda: done.append("left"),
        resume_application_mode=lambda: done.append("entered"),
    )
    screen = SimpleNamespace(refresh=None)
    app = SimpleNamespace(_driver=driver, call_later=lambda *_, **__: None, refresh=None, screen=screen)
    monkeypatch.setattr(sys, "__stdin__", terminal)

    async def stop_and_go_on():
        draw_after_stops(app)
        os.kill(os.getpid(), signal.SIGCONT)
        at_once = list(done)
        await asyncio.sleep(0.05)
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCONT)
        return at_once, done

    return terminal, driver, lambda: asyncio.run(stop_and_go_on())


def test_the_terminal_is_entered_anew_once_the_loop_has_its_turn(entered):
    _, _, go_on = entered
    assert go_on() == ([], ["left", "entered"])


def test_after_a_stop_that_had_left_it_is_only_entered(entered):
    _, driver, go_on = entered
    driver._must_signal_resume = True
    assert go_on() == ([], ["entered"])


@pytest.mark.parametrize("why", ["it is gone", "an editor has it"])
def test_a_terminal_that_is_not_the_windows_is_not_entered(entered, why):
    terminal, driver, go_on = entered
    terminal.has_it = why != "it is gone"
    driver._auto_restart = why != "an editor has it"
    assert go_on() == ([], [])
