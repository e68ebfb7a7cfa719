"""Whatever is wrong on the command line is told: the thing, the reason and what helps; never a library's own words."""

import re
import shlex

import pytest
import tomlkit
from typer.testing import CliRunner

from dlp_local.cli.main import app
from dlp_local.core.errors import DlpLocalError

LIBRARIES_WORDS = re.compile(r"Input should|Value error|Traceback|\[Errno|\[type=|Extra inputs|Field required")

COMMANDS = """
ask hi --pack ''
ask --jsonl ''
ask --jsonl .
ask hi --mix ''
ask hi --mix sql=nan
ask hi --mix sql=-1
ask hi --mix sql --veto sql
ask hi --persona ''
ask hi --scope ''
ask hi --stop ''
ask hi --temperature inf
ask hi --continue 99999999999999999999
route hi --top-p nan
route hi --normalize ''
pack show ''
pack verify nosuch
pack use ''
pack create x
pack create Big --from bundled
pack create x --from ''
pack create x --backbone ''
pack create x --backbone . --in-place
pack create x --backbone hf:
pack create x --backbone hf:ana/model --in-place
pack create x --backbone https://huggingface.co/ana/model
pack remove ''  --yes
pack remove nosuch --yes
adapters add x --name '' --pack mine
adapters add '' --name x --pack mine
adapters add . --name x --pack mine
adapters add nosuch.gguf --name x --pack mine
adapters add https://huggingface.co/ana/lora --name x --pack mine
adapters show nosuch --pack mine
adapters remove nosuch --pack mine
adapters enable nosuch --pack mine
adapters set sql --pack mine
adapters set sql --scale nan --pack mine
adapters set sql --scale inf --pack mine
adapters set sql --scale 0 --pack mine
adapters set sql --examples nosuch --pack mine
router train --out o --force --examples x
router eval nosuch
router rollback --pack mine
router forget
router forget 99999999999999999999
pull
pull ''
pull hf:ana/model --list
pull https://huggingface.co/ana/model
pull hf:https://huggingface.co/ana/model
history show 0
history export 1 ''
history import nosuch
history rename 7 x
history remove 7
history restore 7
persona show ''
persona save ''
persona save x --mix sql=0.5,shell=0.5 --veto shell
persona save x --temperature nan
persona remove nosuch
chat --plain --persona nosuch
chat --plain --continue 0
chat --plain --mix x=
"""


@pytest.mark.parametrize("command", COMMANDS.strip().splitlines())
def test_what_cannot_be_is_told_in_plain_words_and_fails(request, tmp_path, monkeypatch, command):
    if "--pack mine" in command:
        request.getfixturevalue("mine")
    monkeypatch.chdir(tmp_path)
    error = CliRunner().invoke(app, shlex.split(command)).exception
    assert isinstance(error, DlpLocalError), repr(error)
    assert error.exit_code
    assert not LIBRARIES_WORDS.search(str(error))


ODD = "[/closed] [red]not red[/red] :smile:"


@pytest.mark.parametrize(
    "command", ["pack list", "pack show mine", "adapters list --pack mine", "route --why x --pack mine"]
)
def test_what_a_pack_says_of_itself_is_shown_as_it_is_written(mine, command):
    manifest = tomlkit.parse((mine / "pack.toml").read_text("utf-8"))
    sql = manifest["adapters"]["sql"]
    for key in ("description", "attribution", "license"):
        sql[key] = manifest["backbone"][key if key != "description" else "attribution"] = ODD
    manifest["description"] = ODD
    sql["examples"] = [ODD]
    (mine / "pack.toml").write_text(tomlkit.dumps(manifest), "utf-8")
    result = CliRunner().invoke(
        app, shlex.split(command.replace(" x ", f" {shlex.quote(ODD)} ")), env={"COLUMNS": "300"}
    )
    assert result.exception is None
    assert ODD in result.output
