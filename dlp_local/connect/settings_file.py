"""A client's settings file: what it will say, a copy of what it said, and the change on disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path
from typing import Any, Literal

from dlp_local.connect import jsonc_text, yaml_text
from dlp_local.connect.merging import merged, with_defaults
from dlp_local.core.errors import InputError
from dlp_local.core.files import decode, make_folder, read_bytes, written_aside

MOST = 16 << 20
"""Bytes of a settings file."""

BY_HAND = "Put the settings into it by hand: without --write they are printed."


@dataclass(frozen=True, slots=True)
class FileChange:
    """What is to be in a settings file: `change` in any case, `defaults` where their keys are not there."""

    path: Path
    format: Literal["yaml", "json"]
    change: Any
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def alone(self) -> str:
        """The text of a file that says this and nothing else."""
        return self._new_text("")

    def read(self) -> str:
        """The text of the file, with newlines alone; empty where there is none. Raises `InputError`."""
        if not self.path.exists():
            return ""
        return decode(read_bytes(self.path, MOST, "That is no settings file."), str(self.path))

    def text(self, before: str) -> str:
        """What the file will say.

        Raises `InputError` where it cannot be read, or cannot be changed so that all that it says stays.
        """
        try:
            return self._new_text(before)
        except ValueError as error:
            raise InputError(f"{self.path}: cannot be changed safely ({error}). {BY_HAND}") from None

    def _new_text(self, before: str) -> str:
        if not before.strip():
            before = "" if self.format == "yaml" else "{}\n"
        was = yaml_text.parse(before) if self.format == "yaml" else jsonc_text.parse(before).value
        change = with_defaults(self.change, self.defaults, was) if isinstance(self.change, Mapping) else self.change
        wanted = merged(was, change)
        put = yaml_text.changed if self.format == "yaml" else jsonc_text.changed
        after: str = put(before, change)
        now = yaml_text.parse(after) if self.format == "yaml" else jsonc_text.parse(after).value
        if now != wanted or _comments(before, self.format) - _comments(after, self.format):
            raise ValueError("something in it would be lost")
        return after

    def write(self, text: str, *, is_secret: bool = False) -> Path | None:
        """Writes the new text aside and renames it, through a link to the file behind it; gives the copy of the old.

        The file keeps its rights; a new one that holds a key is its owner's alone. Raises `InputError` where it cannot
        be written.
        """
        path, backup = self.path.resolve(), None
        try:
            make_folder(path.parent)
            before = path.read_bytes() if path.exists() else None
            if before is not None:
                backup = _copied(path)
            if before is not None and b"\r\n" in before:
                text = text.replace("\n", "\r\n")
            with written_aside(path) as part:
                if before is not None:
                    shutil.copymode(path, part)
                elif is_secret:
                    part.chmod(0o600)
                part.write_bytes(text.encode("utf-8"))
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror}). {BY_HAND}") from None
        return backup


def difference(path: Path, before: str, after: str) -> str:
    """The lines that change, as `diff -u` shows them."""
    name = str(path) if before else "(no file)"
    lines = unified_diff(before.splitlines(), after.splitlines(), name, str(path), lineterm="")
    return "\n".join(lines)


def _comments(text: str, format: str) -> set[str]:
    """What stands in lines that are comments alone."""
    marks = ("#",) if format == "yaml" else ("//", "/*", "*")
    return {line.strip() for line in text.splitlines() if line.strip().startswith(marks)}


def _copied(path: Path) -> Path:
    """A copy beside a file under a name that is not taken, with its rights and times."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    number = 0
    while True:
        copy = path.with_name(f"{path.name}.{stamp}{f'-{number}' if number else ''}.bak")
        with suppress(FileExistsError):
            copy.touch(0o600, exist_ok=False)
            shutil.copy2(path, copy)
            return copy
        number += 1
