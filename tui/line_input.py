"""The lines that the plain chat reads: typed on a terminal, or piped in."""

from __future__ import annotations

import sys

from dlp_local.core.errors import InputError
from dlp_local.core.files import MAX_LINE


def read_line(prompt: str) -> str:
    """The next line, without its end; raises `EOFError` where there is none, and `UnreadableLineError`.

    Raises `InputError` where nothing more can be read: the system refuses it, or a line has no end.
    """
    if not sys.stdin.isatty():
        print(prompt, end="", flush=True)
    try:
        return input(prompt) if sys.stdin.isatty() else _piped_line()
    except UnicodeDecodeError as error:
        raise UnreadableLineError(f"the line is not UTF-8 (byte {error.start + 1}). Convert it first.") from None
    except OSError as error:
        raise InputError(f"stdin: cannot be read ({error.strerror or error}). Give it a file or a pipe.") from None


class UnreadableLineError(InputError):
    """A line is no text; those behind it may be."""


def _piped_line() -> str:
    raw = sys.stdin.buffer.readline(MAX_LINE + 1)
    if not raw:
        raise EOFError
    if len(raw) > MAX_LINE:
        raise InputError(f"stdin: has a line of more than {MAX_LINE >> 20} MiB. Give it shorter ones.")
    return raw.decode("utf-8").rstrip("\r\n")
