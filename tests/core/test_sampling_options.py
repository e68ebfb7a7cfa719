"""A sampling option is declared once: flags, personas, the form and the JSON are made of the fields of `Sampling`."""

import json
import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from dlp_local.cli.main import app
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.settings import BASE_DEFAULTS, Sampling
from tui.option_lines import FIELDS, parse, written

VALUES = {
    "temperature": 0.25, "top_k": 3, "top_p": 0.5, "min_p": 0.125, "repeat_penalty": 1.5, "repeat_last": -1,
    "frequency_penalty": 0.5, "presence_penalty": -0.5,
    "seed": 7, "max_tokens": 9, "stop": ("\n\n", "User, or so:"),
}  # fmt: skip


def flags_of(values):
    for name, value in values.items():
        for one in value if isinstance(value, tuple) else [value]:
            yield f"--{name.replace('_', '-')}={one}"


def test_every_field_has_a_label_and_help():
    assert VALUES.keys() == Sampling.model_fields.keys()
    assert all(field.title and field.description for field in ChatOptions.model_fields.values())


@pytest.mark.parametrize("command", [("ask",), ("persona", "save")])
def test_every_field_is_a_flag(command):
    text = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"}).output
    assert not [name for name in Sampling.model_fields if f"--{name.replace('_', '-')}" not in text]


def test_every_field_is_kept_in_a_persona():
    runner = CliRunner()
    assert runner.invoke(app, ["persona", "save", "all", *flags_of(VALUES)]).exit_code == 0
    kept = json.loads(runner.invoke(app, ["persona", "show", "all"]).output)
    assert kept == json.loads(json.dumps(VALUES)) | {"persona": "all"}


@pytest.mark.parametrize("name", Sampling.model_fields)
@pytest.mark.parametrize(
    "value", ["", " ", "nan", "inf", "-inf", "1e400", "-7", "9" * 400, "much", "true", "half\0", "0x10"]
)
def test_a_value_is_taken_or_refused_by_its_name_and_what_may_be_given(name, value):
    """Never with the validator's own sentence."""
    refusal = ""
    try:
        options = ChatOptions.checked({name: (value,) if name == "stop" else value})
    except InputError as error:
        refusal = str(error)
    if refusal:
        assert re.fullmatch(rf"options: {name}: '.* cannot be used \(give .*\)\.", refusal)
    else:
        assert getattr(options, name) is not None


def test_every_field_goes_over_the_settings():
    assert ChatOptions(**VALUES).sampling(Sampling()) == Sampling(**VALUES)


def test_every_field_survives_the_form():
    options = ChatOptions(**VALUES, system="Be brief.", scope="context", pinned={"sql": 0.5}, vetoed=("shell",))
    assert parse({name: written(options, name) for name in FIELDS}) == options


def test_base_has_defaults_of_its_own_for_what_nobody_set():
    free = Sampling().for_base()
    assert {name: getattr(free, name) for name in BASE_DEFAULTS} == BASE_DEFAULTS
    assert Sampling(**VALUES).for_base() == Sampling(**VALUES)
    assert ChatOptions(temperature=0).sampling(Sampling(min_p=0.05)).for_base() == Sampling(
        **{**BASE_DEFAULTS, "temperature": 0, "min_p": 0.05}
    )


def test_the_help_tells_both_defaults():
    text = CliRunner().invoke(app, ["ask", "--help"], env={"COLUMNS": "200"}).output
    assert f"0.0; base: {BASE_DEFAULTS['temperature']}" in text


NEW_FIELD = """
import sys
from typing import Literal
from pydantic import Field
from dlp_local.core import settings

class Sampling(settings.Sampling):
    mirostat: Literal["off", "v2"] = Field("off", title="Mirostat", description="another way to choose")
    presence: float = Field(0.0, ge=-2, le=2, title="Presence", description="makes new words more probable")
    greedy: bool = Field(False, title="Greedy", description="takes the best")

settings.Sampling = Sampling
from dlp_local.cli.main import main
from tui.option_lines import FIELDS
assert {"mirostat", "presence", "greedy"} <= FIELDS.keys()
sys.argv = ["dlp-local", *sys.argv[1:]]
main()
"""


def test_a_new_field_is_a_flag_a_line_of_the_form_and_checked_at_once():
    def run(*args):
        process = subprocess.run(
            [sys.executable, "-c", NEW_FIELD, *args],
            capture_output=True,
            env=os.environ | {"COLUMNS": "200"},
            timeout=60,
        )
        return process.stdout.decode() + process.stderr.decode()

    run("persona", "save", "new", "--mirostat", "v2", "--presence", "-1.5", "--greedy")
    kept = json.loads(run("persona", "show", "new"))
    assert kept == {"mirostat": "v2", "presence": -1.5, "greedy": True, "persona": "new"}
    assert "presence: '9' cannot be used (give a number, -2 to 2)" in run("persona", "save", "x", "--presence", "9")
    assert "Another way to choose." in run("ask", "--help")
