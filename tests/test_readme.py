"""README.md: its session and its examples give the answers that stand there."""

import json
import re
from pathlib import Path

import pytest

from dlp_local import ReplyDone, open_assistant
from dlp_local.core.settings import Settings, load_settings
from dlp_local.core.user_message import Attachment, UserMessage
from dlp_local.packs.backbone_location import find_backbone, how_to_get
from dlp_local.packs.locations import shipped_pack
from dlp_local.packs.manifest import read_manifest
from tests.support.documented_commands import check_command, every_command_of

FILE = Path(__file__).parent.parent / "README.md"
README = FILE.read_text("utf-8")
SESSION = re.findall(r'^\$ dlp-local ask "(.+)"\n(.+)$', README, re.MULTILINE)
COMMANDS = re.findall(r'^dlp-local ask "([^"…]+)" +# one answer: (.+)$', README, re.MULTILINE)
IN_PARTS = re.findall(r"^\$ dlp-local ask '(.+)'\n(.+)\n\n(.+)$", README, re.MULTILINE)
PACK = shipped_pack("smollm2")
BACKBONE = read_manifest(PACK).backbone
needs_backbone = pytest.mark.skipif(
    find_backbone(PACK, BACKBONE) is None, reason=f"the pack smollm2: {how_to_get(BACKBONE)}"
)


@pytest.fixture(scope="module")
def smollm2():
    with open_assistant(Settings(), PACK) as assistant:
        yield assistant


def test_there_are_a_session_and_an_example():
    assert len(SESSION) >= 4
    assert COMMANDS


@every_command_of(FILE)
def test_every_command_exists_with_its_options(line):
    check_command(line)


def test_the_settings_are_some(tmp_path, monkeypatch):
    (text,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "config.toml").write_text(text, "utf-8")
    monkeypatch.setenv("DLP_LOCAL_CONFIG", str(tmp_path / "config.toml"))
    assert load_settings().sampling.max_tokens == 1000


@needs_backbone
def test_the_python_example_prints_the_date(capsys, monkeypatch):
    monkeypatch.setenv("DLP_LOCAL_PACK", "smollm2")
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.endswith("\n2021-02-03")


@needs_backbone
def test_what_is_piped_in_goes_along(smollm2):
    (request,) = re.findall(r'^dlp-local ask "(.+)" <broken\.json', README, re.MULTILINE)
    *_, done = smollm2.reply(str(UserMessage(request, (Attachment("{name: 'Ana', tags: ['a', 'b',]}\n"),))))
    assert json.loads(done.answer) == {"name": "Ana", "tags": ["a", "b"]}


@needs_backbone
@pytest.mark.parametrize(("message", "answer"), [*SESSION, *COMMANDS])
def test_an_example_gives_the_answer_that_stands_there(smollm2, message, answer):
    *_, done = smollm2.reply(message)
    assert isinstance(done, ReplyDone)
    assert done.answer == answer


@needs_backbone
def test_a_message_of_two_tasks_is_answered_as_it_stands_there(smollm2):
    ((message, *answers),) = IN_PARTS
    *_, done = smollm2.reply(message)
    assert [part.answer for part in done.parts] == answers
    assert done.answer == "\n\n".join(answers)


@needs_backbone
def test_the_route_is_the_one_that_is_shown(smollm2):
    shown = re.search(r'^\$ dlp-local route "(.+)"\n((?:.+\n)+?)and \d+ less probable', README, re.MULTILINE)
    rows = re.findall(r"^(\w+) +([\d.]+) +[█ ]*? +([\d.]+|-)$", shown[2], re.MULTILINE)
    route = smollm2.route(shown[1])
    assert len(rows) >= 5
    for name, probability, weight in rows:
        assert route.probabilities[name] == pytest.approx(float(probability), abs=0.02)
        assert route.mix.as_dict().get(name, 0.0) == pytest.approx(0.0 if weight == "-" else float(weight), abs=0.04)
