"""The commands that the documents show."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import pytest
import typer

from dlp_local.cli.main import app


def commands_in(document: Path) -> list[str]:
    """Every command of this program in the shell blocks of a document."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text("utf-8"), re.DOTALL)
    parts = [part.strip() for block in blocks for line in block.splitlines() for part in _parts(line)]
    return sorted({part for part in parts if part.startswith("dlp-local ")})


def _parts(line: str) -> list[str]:
    words = shlex.shlex(line, posix=False, punctuation_chars=True)
    words.whitespace_split = True
    words.commenters = "#"
    parts = [""]
    with contextlib.suppress(ValueError):  # a quotation that ends in another line
        for word in words:
            if set(word) <= set("|;&"):
                parts.append("")
            else:
                parts[-1] += f" {word}"
    return parts


def check_command(line: str) -> None:
    """Fails where a command of this program, or an option of it, does not exist."""
    words = shlex.split(line.partition(" <")[0])[1:]
    command = typer.main.get_command(app)
    context = command.make_context("dlp-local", words[:1], resilient_parsing=True)
    while hasattr(command, "get_command") and not words[0].startswith("-"):
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command, f"there is no {name}"
    if hasattr(command, "get_command"):
        assert words[0] in {option for parameter in command.params for option in parameter.opts}
    else:
        command.make_context("dlp-local", words)


def every_command_of(document: Path) -> pytest.MarkDecorator:
    """Runs a test with each command of a document as `line`."""
    return pytest.mark.parametrize("line", commands_in(document))
