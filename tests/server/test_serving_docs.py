"""docs/serving.md says what the server does."""

import re
import tomllib
from pathlib import Path

import pytest

from dlp_local.core.settings import Sampling, Server
from dlp_local.server.bodies import HARMLESS
from dlp_local.server.requests import chat, completions, responses
from dlp_local.server.requests.sampling import THOUGHT
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


COMMON = {*Sampling.model_fields, "model", "stream", "logit_bias", "dlp_local"}


@pytest.mark.parametrize(
    ("path", "request_"),
    [
        ("/v1/chat/completions", chat.ChatRequest),
        ("/v1/completions", completions.CompletionRequest),
        ("/v1/responses", responses.ResponseRequest),
    ],
)
def test_the_fields_of_each_endpoint_are_listed(path, request_):
    (row,) = re.findall(rf"^\| `{path}` \| (.*) \|$", PAGE, re.MULTILINE)
    assert {name for name in re.findall("`([a-z_]+)`", row) if name != "as"} == request_.model_fields.keys() - COMMON
    assert request_.model_fields.keys() >= COMMON


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
        ("completions", {"prompt": "hello"}),
        ("responses", {"input": "hello"}),
        ("embeddings", {"input": "hello"}),
        ("route", {"text": "hello"}),
    ],
)
def test_every_endpoint_takes_what_has_no_effect_anywhere(http, path, asked):
    own = {"metadata": {"a": "b"}, "store": False, "stream_options": {}}
    answers = path in ("chat/completions", "completions", "responses")
    for name in HARMLESS:
        more = {"max_tokens": 1} if answers else {}
        answer = http.post(f"/v1/{path}", json=asked | more | {name: own.get(name, "x")})
        assert answer.status_code == 200, (name, answer.text)
    if answers:
        answer = http.post(f"/v1/{path}", json=asked | {"max_tokens": 1} | dict.fromkeys(THOUGHT, "x"))
        assert set(answer.json()["dlp_local"]["ignored"]) == THOUGHT


def test_the_example_of_the_openai_package_works(server, capsys):
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "OpenAI(" in block)
    exec(code.replace("http://127.0.0.1:11500", server.url), {})
    assert capsys.readouterr().out == "1999-07-04 {'dates': 1.0}\n"
