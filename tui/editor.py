"""Writing a message in the user's own editor."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from textual.app import App, SuspendNotSupported

from dlp_local.core.errors import InputError
from dlp_local.core.files import read_text, temporary_folder

DEFAULT_EDITOR = "notepad" if os.name == "nt" else "vi"


def editor_command() -> list[str]:
    """`$VISUAL`, else `$EDITOR`, else the system's own, with its arguments.

    Raises `InputError` for one whose quotes do not close.
    """
    text = (os.environ.get("VISUAL", "").strip() or os.environ.get("EDITOR", "").strip()) or DEFAULT_EDITOR
    try:
        return split_command(text, posix=os.name != "nt")
    except ValueError:
        raise InputError(f"{text}: a quote is not closed. Set EDITOR to another command.") from None


def split_command(text: str, *, posix: bool) -> list[str]:
    r"""A command line as a list: with `posix` as a shell splits it, else as Windows does, where `\` is part of a path.

    Raises `ValueError` where a quote is not closed.
    """
    if posix:
        return shlex.split(text)
    return [word.strip('"') for word in shlex.split(text, posix=False)]


async def write_in_editor(app: App[None], text: str) -> str:
    """The text as it was left in the editor; the window steps aside meanwhile.

    Raises `InputError` where the editor cannot be run or fails, and where the terminal cannot be handed over.
    """
    with temporary_folder() as folder:
        file = Path(folder) / "message.md"
        file.write_text(text, "utf-8")
        command = editor_command()
        try:
            with app.suspend():
                code = subprocess.run([*command, str(file)], check=False).returncode
        except SuspendNotSupported:
            raise InputError("this terminal cannot be handed over to an editor.") from None
        except OSError as error:
            raise InputError(f"{command[0]}: cannot be run ({error.strerror}). Set EDITOR to another one.") from None
        if code:
            raise InputError(f"{command[0]}: ended with {code}; the message stays as it was.")
        return read_text(file).rstrip("\n")
