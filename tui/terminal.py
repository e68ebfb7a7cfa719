"""What terminals do in ways of their own: keys that they spell differently, stops, and ends from outside."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, cast

from textual import _xterm_parser
from textual.app import App
from textual.drivers import _writer_thread
from textual.message import Message

LINUX_DRIVER = "textual.drivers.linux_driver"
"""Of Linux and macOS."""

_MODIFY_OTHER_KEYS = re.compile(r"\x1b\[27;(\d+);(\d+)~")
_WITH_EVENT = re.compile(r"\x1b\[(\d+)[\d:]*;(\d+)(?::(\d))?([u~A-DFHPQS])")
_SHIFTED = re.compile(r"\x1b\[(\d+);2u")
_ALT_ENTER, _RELEASE = "\x1b\r", "3"
_LETTERS_FROM, _FUNCTION_KEYS = 0x20, range(0xE000, 0xF900)
"""The first character that is one, and the private ones that the Kitty protocol names keys by."""


class KeyParser(_xterm_parser.XTermParser):
    """Also reads keys as xterm's modifyOtherKeys sends them (`ESC [27;2;13~` is Shift+Enter), and Alt+Enter.

    Of the Kitty protocol, what textual does not read: presses that say so, releases, and letters struck with Shift.
    """

    def feed(self, data: str) -> Iterable[Message]:
        """The events of what a terminal sent; each spelling becomes that of the Kitty protocol, which textual reads."""
        spelled = _MODIFY_OTHER_KEYS.sub(lambda key: f"\x1b[{key[2]};{key[1]}u", data).replace(_ALT_ENTER, "\x1b[13;3u")
        spelled = _WITH_EVENT.sub(lambda k: "" if k[3] == _RELEASE else f"\x1b[{k[1]};{k[2]}{k[4]}", spelled)
        return super().feed(_SHIFTED.sub(_letter, spelled))


def _letter(key: re.Match[str]) -> str:
    """What Shift and a key write; the key as it is spelled where they write nothing."""
    code = int(key[1])
    is_letter = code >= _LETTERS_FROM and code not in _FUNCTION_KEYS and code <= sys.maxunicode and code != 127
    return chr(code).upper() if is_letter else key[0]


def read_more_keys() -> None:
    """Lets textual's drivers use `KeyParser`: they have no setting for it."""
    for name in (LINUX_DRIVER, "textual.drivers.win32", "textual.drivers.linux_inline_driver"):
        with suppress(ImportError, AttributeError):
            __import__(name)
            sys.modules[name].XTermParser = KeyParser  # type: ignore[attr-defined]


class _Output:
    """What is drawn to; a terminal that is gone takes nothing, and nobody is told."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()


class Writer(_writer_thread.WriterThread):
    """Goes on where a terminal is closed: textual's ends then, and the window waits for it for ever."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(cast(IO[str], _Output(file)))


def outlive_the_terminal() -> None:
    """Lets textual's driver use `Writer`: it has no setting for it."""
    with suppress(ImportError, AttributeError):
        __import__(LINUX_DRIVER)
        sys.modules[LINUX_DRIVER].WriterThread = Writer  # type: ignore[attr-defined]


def draw_after_stops(app: App[None]) -> None:
    """Draws the whole window whenever its process goes on after a stop; for the main thread, in its loop, once drawn.

    After a SIGTSTP textual enters the terminal anew, but draws nothing, as the size has not changed. A SIGSTOP cannot
    be caught, so the terminal was not left either; it is, before it is entered anew. One that is gone is not: its end
    lets the process go on, too.

    The loop calls it, no handler of Python's: that may come while a lock is held which writing to the terminal takes.
    """
    driver = app._driver
    if driver is None or not driver.can_suspend or not hasattr(signal, "SIGCONT"):
        return

    def go_on() -> None:
        is_ours = driver._auto_restart  # else an editor has the terminal
        if not is_ours or sys.__stdin__ is None or not sys.__stdin__.isatty():
            return
        if not getattr(driver, "_must_signal_resume", False):
            driver.suspend_application_mode()
        driver.resume_application_mode()
        app.call_later(app.refresh, layout=True)
        app.call_later(app.screen.refresh, layout=True)

    asyncio.get_running_loop().add_signal_handler(signal.SIGCONT, go_on)


def leave_at_signals(leave: Callable[[int], None]) -> None:
    """Has a signal that asks the program to end call `leave` with its number; for the main thread, in its loop.

    The window would else stay drawn over the shell, which has the keys and the mouse as the window set them. A signal
    that is ignored, as under nohup, stays so.
    """
    for name in ("SIGTERM", "SIGHUP") if hasattr(signal, "SIGHUP") else ():
        number = signal.Signals[name]
        if signal.getsignal(number) == signal.SIG_DFL:
            asyncio.get_running_loop().add_signal_handler(number, leave, number)
