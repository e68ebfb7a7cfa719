"""The one family of errors that a user may meet: each names the thing, what is wrong and the next step."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command line returns to the shell."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    PACK = 3
    ENGINE = 4
    HUB = 5
    INTERRUPTED = 130


class DlpLocalError(Exception):
    """Base of all errors that are shown to the user as they are, without a traceback."""

    exit_code = ExitCode.FAILURE


class InputError(DlpLocalError):
    """A message, a mix or an option cannot be used as it was given."""

    exit_code = ExitCode.USAGE


class ContextLengthError(InputError):
    """A message, with what has to stand before it, does not fit the model's context."""


class PackError(DlpLocalError):
    """A pack or one of its files is missing, damaged or does not fit."""

    exit_code = ExitCode.PACK


class EngineError(DlpLocalError):
    """The backbone could not be loaded or stopped working."""

    exit_code = ExitCode.ENGINE


class HubError(DlpLocalError):
    """Something could not be fetched from the hub."""

    exit_code = ExitCode.HUB


class HistoryError(DlpLocalError):
    """The stored conversations cannot be read or written, or there is none of that number."""

    exit_code = ExitCode.USAGE
