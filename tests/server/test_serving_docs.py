"""docs/serving.md says what the server does."""

import re
import tomllib
from pathlib import Path

from dlp_local.core.settings import Server
from dlp_local.server.requests import chat, responses
from tests.support.documented_commands import check_command, every_command_of

FILE = Path(__file__).parent.parent.parent / "docs" / "serving.md"
PAGE = FILE.read_text("utf-8")


@every_command_of(FILE)
def test_every_command_exists_with_its_options(line):
    check_command(line)


def test_the_limits_are_the_defaults():
    (block,) = re.findall(r"```toml\n(\[server\].*?)```", PAGE, re.DOTALL)
    shown = tomllib.loads(block)["server"]
    assert shown == {name: getattr(Server(), name) for name in shown}
    bounds = {name for name, value in Server() if isinstance(value, int | float) and not isinstance(value, bool)}
    assert shown.keys() == bounds - {"port"}


def test_every_field_without_effect_is_named():
    named = re.findall(r"`([a-z_….\[\]]+)`", PAGE)
    for name in chat.UNUSED.harmless | chat.UNUSED.ignored | responses.UNUSED.ignored:
        assert any(name == one or (one.endswith("…") and name.startswith(one[:-1])) for one in named), name


def test_the_example_of_the_openai_package_works(server, capsys):
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "OpenAI(" in block)
    exec(code.replace("http://127.0.0.1:11500", server.url), {})
    assert capsys.readouterr().out == "1999-07-04 {'dates': 1.0}\n"
