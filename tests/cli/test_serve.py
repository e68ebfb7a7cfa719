"""`dlp-local serve` before it serves: what it says where it cannot, and what it writes."""

import sys
from contextlib import nullcontext

import httpx
import pytest
from typer.testing import CliRunner

from dlp_local.cli import serve as command
from dlp_local.cli.main import app
from dlp_local.core.errors import InputError
from tests.support.fakes import FakeAssistant
from tests.support.http_server import running_server


def test_a_missing_package_is_told_with_the_command_that_installs_it(monkeypatch):
    for name in ("dlp_local.server.serving", "dlp_local.server.app", "uvicorn"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(InputError, match=r"pip install 'dlp-local\[serve\]'"):
        command.serve(port=0)


def test_an_address_that_others_reach_is_refused_before_the_pack_is_opened():
    result = CliRunner().invoke(app, ["serve", "--host", "0.0.0.0", "--pack", "no such pack"])
    assert isinstance(result.exception, InputError)
    assert "--api-key-file" in str(result.exception)


def test_a_file_without_a_key_is_refused_before_the_pack_is_opened(tmp_path):
    (tmp_path / "keys").write_text("# none yet\n")
    result = CliRunner().invoke(app, ["serve", "--api-key-file", str(tmp_path / "keys"), "--pack", "no such pack"])
    assert isinstance(result.exception, InputError)
    assert "holds no key" in str(result.exception)


@pytest.mark.parametrize(("host", "address"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::", "[::1]")])
def test_the_address_that_is_told_can_be_opened(tmp_path, monkeypatch, host, address):
    (tmp_path / "keys").write_text("a-key-of-the-tests\n")
    monkeypatch.setattr("dlp_local.opening.open_assistant", lambda _: nullcontext(FakeAssistant()))
    monkeypatch.setattr("dlp_local.server.serving.HttpServer.run", lambda *_: None)
    arguments = ["serve", "--host", host, "--port", "0", "--api-key-file", str(tmp_path / "keys")]
    out = CliRunner().invoke(app, arguments).stdout
    assert f"in a browser     http://{address}:" in out
    assert ("from elsewhere" in out) == (host != "127.0.0.1")


def test_nothing_of_a_request_is_written_and_its_text_never(capfd):
    body = {"messages": [{"role": "user", "content": "the secret"}]}
    for logs in (False, True):
        with running_server(FakeAssistant(), log_requests=logs) as running:
            assert httpx.post(f"{running.url}/v1/chat/completions", json=body).status_code == 200
            assert httpx.post(f"{running.url}/v1/chat/completions", json=body | {"secret": 1}).status_code == 400
        written = "".join(capfd.readouterr())
        assert ("/v1/chat/completions 200" in written) is logs
        assert "secret" not in written
