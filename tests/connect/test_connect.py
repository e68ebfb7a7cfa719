"""`dlp-local connect`: real settings files of clients, printed, merged and written."""

import json
import os
import stat
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dlp_local.cli.main import main
from dlp_local.connect import jsonc_text, yaml_text
from dlp_local.connect.clients import CLIENTS
from dlp_local.connect.target import Target
from dlp_local.core.errors import InputError
from dlp_local.core.server_address import read_key, server_url

URL = "http://127.0.0.1:9"
"""Where nothing answers."""


ZED = """\
// Zed settings
//
// For information on how to configure Zed, see the Zed
// documentation: https://zed.dev/docs/configuring-zed
{
  "ui_font_size": 16,
  "theme": { "mode": "system", "light": "One Light", "dark": "One Dark" },
  "language_models": {
    "ollama": { "api_url": "http://localhost:11434" }, // the one in the cellar
    "openai_compatible": {
      // the company's
      "Gateway": {
        "api_url": "https://gateway.example/v1",
        "available_models": [{ "name": "big", "max_tokens": 200000 }],
      },
    },
  },
}
"""
CONTINUE = """\
name: My Config
version: 0.0.1
schema: v1
# what I write with
models:
  - name: Big   # slow
    provider: openai
    model: "big-1"
    apiKey: ${{ secrets.BIG }}
context:
  - provider: file
"""
AIDER = """\
##########################################################
# Sample .aider.conf.yml
##########################################################
## Specify the model to use for the main chat
#model: xxx
"""
AICHAT = """\
model: openai:gpt-4o             # Specify the LLM to use
save: true
left_prompt:
  '{color.green}{?session {session}>}'
clients:
  # See https://platform.openai.com/docs/quickstart
  - type: openai
    api_key: sk-xxx                                   # ENV: {client}_API_KEY
"""
LLM = '- model_id: orca-openai-compat\n  model_name: orca-mini-3b.ggmlv3\n  api_base: "http://localhost:8080"\n'
OPENCODE = '{"$schema": "https://opencode.ai/config.json", "provider": {"anthropic": {"options": {}}}}\n'
FILES = {"zed": ZED, "continue": CONTINUE, "aider": AIDER, "aichat": AICHAT, "llm": LLM, "opencode": OPENCODE}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home with nothing in it, and none of the variables that lead elsewhere."""
    for name in ("CONTINUE_GLOBAL_DIR", "LLM_USER_PATH", "AICHAT_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.fixture
def cli(monkeypatch, capsys):
    """Runs the command line here; it has to end with `code`."""

    def run(*args, code=0):
        monkeypatch.setattr(sys, "argv", ["dlp-local", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert (ended.value.code or 0) == code, err
        return SimpleNamespace(stdout=out, stderr=err)

    return run


@pytest.fixture
def key(tmp_path):
    file = tmp_path / "keys"
    file.write_text("# ana's\nsecret-0123456789abcdef\n", "utf-8")
    return file


def value(client, text):
    return jsonc_text.parse(text).value if client in ("zed", "opencode", "goose") else yaml_text.parse(text)


def change_of(client, key=None, model="auto"):
    return CLIENTS[client].instructions(Target(URL, model, key, 8192)).file


@pytest.mark.parametrize("client", sorted(FILES))
def test_all_that_a_real_settings_file_says_stays_and_the_server_comes_into_it(client):
    before = FILES[client]
    change = change_of(client)
    after = change.text(before)
    if client in ("zed", "continue", "aider", "llm"):  # their lines stay as they are, with new ones between
        assert [line for line in before.splitlines() if line not in after.splitlines()] == []
    for comment in ("// the one in the cellar", "# slow", "# See https://platform", "#model: xxx"):
        assert before.count(comment) == after.count(comment)
    assert URL in after
    assert change.text(after) == after


def test_each_client_gets_what_its_documentation_names():
    zed = value("zed", change_of("zed").text(ZED))["language_models"]
    assert zed["ollama"] == {"api_url": "http://localhost:11434"}
    assert zed["openai_compatible"]["Gateway"]["available_models"] == [{"name": "big", "max_tokens": 200000}]
    assert zed["openai_compatible"]["dlp-local"]["api_url"] == f"{URL}/v1"
    assert zed["openai_compatible"]["dlp-local"]["available_models"][0]["name"] == "auto"
    continued = value("continue", change_of("continue").text(CONTINUE))
    assert [model["name"] for model in continued["models"]] == ["Big", "dlp-local"]
    assert continued["name"] == "My Config"
    assert value("aider", change_of("aider").text(AIDER))["openai-api-base"] == f"{URL}/v1"
    aichat = value("aichat", change_of("aichat").text(AICHAT))
    assert aichat["model"] == "openai:gpt-4o"
    assert [client.get("name") for client in aichat["clients"]] == [None, "dlp-local"]
    models = value("llm", change_of("llm").text(LLM))
    assert models[1] == {"model_id": "dlp-local", "model_name": "auto", "api_base": f"{URL}/v1"}
    opencode = value("opencode", change_of("opencode").text(OPENCODE))["provider"]
    assert opencode["anthropic"] == {"options": {}}
    assert opencode["dlp-local"]["options"]["baseURL"] == f"{URL}/v1"
    goose = value("goose", change_of("goose").text(""))
    assert (goose["engine"], goose["base_url"]) == ("openai", f"{URL}/v1/chat/completions")
    assert goose["requires_auth"] is False


def test_a_file_that_is_not_there_gets_what_a_client_needs_to_start():
    assert value("aichat", change_of("aichat").text(""))["model"] == "dlp-local:auto"
    assert value("continue", change_of("continue").text(""))["schema"] == "v1"
    assert json.loads(change_of("opencode").text(""))["$schema"] == "https://opencode.ai/config.json"


def test_asking_for_another_model_changes_the_entry_and_adds_none():
    first = change_of("continue").text(CONTINUE)
    again = value("continue", change_of("continue", model="sql=0.7,shell=0.3").text(first))
    assert [model["model"] for model in again["models"]] == ["big-1", "sql=0.7,shell=0.3"]


@pytest.mark.parametrize(
    ("client", "text"),
    [("continue", "models: {big: 1}\n"), ("continue", "a: [1\n"), ("zed", '{"language_models": '), ("llm", "a: 1\n")],
)
def test_a_file_that_cannot_be_changed_safely_is_refused_with_what_to_do(client, text):
    with pytest.raises(InputError, match=r"cannot be changed safely .* Put the settings into it by hand"):
        change_of(client).text(text)


def test_a_written_file_keeps_its_rights_its_line_ends_and_its_link_and_a_copy_is_kept(home):
    change = change_of("zed")
    behind = home / "dotfiles" / "settings.json"
    behind.parent.mkdir()
    behind.write_bytes(ZED.replace("\n", "\r\n").encode())
    change.path.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        change.path.write_bytes(behind.read_bytes())
    else:
        behind.chmod(0o640)
        change.path.symlink_to(behind)
    backup = change.write(change.text(change.read()))
    assert backup.read_bytes() == ZED.replace("\n", "\r\n").encode()
    assert change.path.read_bytes().count(b"\r\n") == change.path.read_bytes().count(b"\n")
    assert value("zed", change.read())["ui_font_size"] == 16
    if sys.platform != "win32":
        assert change.path.is_symlink()
        assert stat.S_IMODE(behind.stat().st_mode) == 0o640
    assert sorted(path.name for path in behind.parent.iterdir()) == sorted({backup.name, behind.name})


def test_without_a_client_they_are_listed(cli):
    listed = cli("connect").stdout
    assert all(name in listed for name in CLIENTS)


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_every_client_is_printed_and_never_the_key(cli, key, client):
    done = cli("connect", client, "--url", f"{URL}/v1/", "--api-key-file", str(key))
    assert URL in done.stdout
    assert "/v1/v1" not in done.stdout
    assert "secret-0123" not in done.stdout + done.stderr
    plain = cli("connect", client, "--url", URL, "--model", "sql")
    assert "sql" in plain.stdout or client == "open-webui"


@pytest.mark.skipif(os.name != "posix", reason="it is a command for the shell of POSIX")
@pytest.mark.parametrize("before", ["", "\n\n", "# mine\n", "  # mine\n\t\n  ", "# mine\r\n\r\n"])
def test_the_printed_command_gives_the_key_that_a_file_begins_with(cli, tmp_path, before):
    file = tmp_path / "the key's"
    file.write_bytes(f"{before}secret-0123456789abcdef \r\nanother-0123456789abcdef\n".encode())
    assert read_key(file).value == "secret-0123456789abcdef"
    printed = cli("connect", "openai-python", "--url", URL, "--api-key-file", str(file)).stdout
    (line,) = (line for line in printed.splitlines() if line.startswith("export OPENAI_API_KEY="))
    shell = subprocess.run(["sh", "-c", f'{line}; printf %s "$OPENAI_API_KEY"'], capture_output=True, text=True)
    assert shell.stdout == "secret-0123456789abcdef"


def test_write_shows_the_change_and_writes_only_when_it_is_told_to(cli, key, home):
    file = home / ".aider.conf.yml"
    file.write_text("dark-mode: true # mine\n", "utf-8")
    asked = cli("connect", "aider", "--url", URL, "--write", code=2)
    assert "+openai-api-base" in asked.stdout
    assert "--yes" in asked.stderr
    assert file.read_text("utf-8") == "dark-mode: true # mine\n"
    done = cli("connect", "aider", "--url", URL, "--api-key-file", str(key), "--write", "--yes")
    assert "secret-0123" not in done.stdout
    assert file.read_text("utf-8").startswith("dark-mode: true # mine\n")
    assert yaml_text.parse(file.read_text("utf-8"))["openai-api-key"] == "secret-0123456789abcdef"
    assert "says so already" in cli("connect", "aider", "--url", URL, "--api-key-file", str(key), "--write").stdout


@pytest.mark.skipif(os.name != "posix", reason="rights are those of POSIX")
def test_a_new_file_with_a_key_is_its_owners_alone(cli, key, home):
    cli("connect", "aider", "--url", URL, "--api-key-file", str(key), "--write", "--yes")
    assert stat.S_IMODE((home / ".aider.conf.yml").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("127.0.0.2", "127.0.0.2"),
        ("box.local", "box.local"),
    ],
)
def test_a_client_is_pointed_at_an_address_that_can_be_connected_to(cli, monkeypatch, host, told):
    monkeypatch.setenv("DLP_LOCAL_SERVER__HOST", host)
    monkeypatch.setenv("DLP_LOCAL_SERVER__PORT", "9")
    assert f'"http://{told}:9/v1"' in cli("connect", "zed", "--context", "8192").stdout


def test_wrong_names_addresses_and_keys_are_refused(cli, tmp_path):
    assert "Did you mean 'zed'" in cli("connect", "zedd", code=2).stderr
    assert "has no settings file" in cli("connect", "openai-js", "--url", URL, "--write", code=2).stderr
    for wrong in ("127.0.0.1:11500", "ftp://x", "http://", "http://x:99999", "http://x/?a"):
        with pytest.raises(InputError, match="no address of a server"):
            server_url(wrong)
    (tmp_path / "empty").write_text("# none\n", "utf-8")
    with pytest.raises(InputError, match="holds no key"):
        read_key(tmp_path / "empty")
