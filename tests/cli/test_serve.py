"""`dlp-local serve` before it serves: what it says where it cannot, and what it writes."""

import sys

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


def test_nothing_of_a_request_is_written_and_its_text_never(capfd):
    body = {"messages": [{"role": "user", "content": "the secret"}]}
    for logs in (False, True):
        with running_server(FakeAssistant(), log_requests=logs) as running:
            assert httpx.post(f"{running.url}/v1/chat/completions", json=body).status_code == 200
            assert httpx.post(f"{running.url}/v1/chat/completions", json=body | {"secret": 1}).status_code == 400
        written = "".join(capfd.readouterr())
        assert ("/v1/chat/completions 200" in written) is logs
        assert "secret" not in written
