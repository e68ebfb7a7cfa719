"""Environment variables and examples to paste."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dlp_local.connect.target import Target

QUESTION = "to ISO: the 3rd of February 2021"


def first_key_command(file: Path) -> str:
    """A command of the shell that prints the first key of a file, as `read_key` reads it."""
    if sys.platform == "win32":
        quoted = str(file).replace("'", "''")
        return (
            f"(Get-Content '{quoted}').Trim() | Where-Object {{ $_ -and -not $_.StartsWith('#') }} "
            "| Select-Object -First 1"
        )
    script = r"s/^[[:space:]]*//; s/[[:space:]]*$//; /^#/d; /./!d; p; q"
    return f"sed -n '{script}' {shlex.quote(str(file))}"


@dataclass(frozen=True, slots=True)
class Variables:
    """Names and values, as commands of the shell that people have: PowerShell on Windows, POSIX elsewhere."""

    lines: tuple[str, ...]

    @classmethod
    def of(cls, target: Target, url: str, key: str, more: Mapping[str, str] = {}) -> Variables:
        """The variables for a server's address and key, by their names; a key stays in its file."""
        template = '$env:{0} = "{1}"' if sys.platform == "win32" else 'export {0}="{1}"'
        value = f"$({first_key_command(target.key.file)})" if target.key else "no-key"
        values = {**more, url: target.api, key: value}
        return cls(tuple(template.format(name, value) for name, value in values.items()))

    def __str__(self) -> str:
        return "\n".join(self.lines)


def python_example(model: str) -> str:
    """A question with OpenAI's SDK for Python, which reads the variables."""
    return f"""\
from openai import OpenAI

answer = OpenAI().chat.completions.create(
    model="{model}", messages=[{{"role": "user", "content": "{QUESTION}"}}]
)
print(answer.choices[0].message.content, answer.dlp_local["mix"])"""


def script_example(model: str) -> str:
    """A question with OpenAI's SDK for JavaScript, which reads the variables."""
    return f"""\
import OpenAI from "openai";

const answer = await new OpenAI().chat.completions.create({{
  model: "{model}", messages: [{{ role: "user", content: "{QUESTION}" }}],
}});
console.log(answer.choices[0].message.content, answer.dlp_local.mix);"""
