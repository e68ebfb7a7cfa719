"""A vLLM that fails, is silent, or is something else: it is told, and what had come is kept."""

import pytest

from dlp_local.core import settings
from dlp_local.core.errors import EngineError
from tests.support import fake_vllm
from tests.support.engines import ask
from tests.support.fake_vllm import Fault
from tests.support.vllm_engine import MIX, engine_at

BROKEN = "broke off|came to no end"


# ---- faults ----


def test_what_had_come_of_a_broken_stream_is_kept(fake, engine):
    fake.cut_after = 2
    text, done = ask(engine, "hello", MIX)
    assert text
    assert "a fine answer".startswith(text)
    assert done.finish_reason == "error"
    assert fake.url in done.error
    assert done.error.endswith("broke off in the middle of the answer. Look whether the server still runs.")


def test_an_error_in_the_stream_is_told(fake, engine):
    fake.error_after = 2
    text, done = ask(engine, "hello", MIX)
    assert text
    assert "EngineCore died" in done.error


def test_a_stream_without_tokens_is_too_old(fake, engine):
    fake.tells_tokens = False
    _, done = ask(engine, "hello", MIX)
    assert "0.10.2" in done.error


@pytest.mark.parametrize(
    ("owner", "kind", "told"),
    [
        ("vllm", "llama-server", "is a vLLM; engine.kind says llama-server"),
        ("llamacpp", "vllm", "is a llama-server; engine.kind says vllm"),
        ("somebody", "llama-server", r"is no llama-server \(404\)"),
    ],
)
def test_a_server_of_another_kind_than_the_settings_say_is_told_for_what_it_is(
    fake, bundled, tmp_path, owner, kind, told
):
    fake.owner = owner
    with engine_at(fake, bundled, tmp_path, kind=kind) as engine, pytest.raises(EngineError, match=told):
        _ = engine.context_size


def test_a_server_that_does_not_say_what_it_is_is_taken_for_what_the_settings_say(fake, bundled, tmp_path):
    fake.owner = "somebody"
    with engine_at(fake, bundled, tmp_path, kind="vllm") as engine:
        assert engine.context_size == fake_vllm.CONTEXT


def test_https_at_a_server_of_http_is_told_at_once(fake, bundled, tmp_path):
    url = fake.url.replace("http:", "https:")
    with (
        engine_at(fake, bundled, tmp_path, url=url) as engine,
        pytest.raises(EngineError, match=rf"speaks http, not https. Set engine.url to {fake.url}\."),
    ):
        _ = engine.context_size


def test_nothing_at_the_address_is_told_with_how_to_start_it(fake, bundled, tmp_path):
    with (
        engine_at(fake, bundled, tmp_path, url="http://127.0.0.1:9") as engine,
        pytest.raises(EngineError, match=r"127.0.0.1:9: nothing answers there.*dlp-local engine command"),
    ):
        _ = engine.context_size


def test_an_unknown_host_is_told(fake, bundled, tmp_path):
    with (
        engine_at(fake, bundled, tmp_path, url="http://nobody.invalid:80", kind="vllm") as engine,
        pytest.raises(EngineError, match="knows no such host"),
    ):
        _ = engine.context_size


def test_a_server_that_is_silent_is_given_up(fake, bundled, tmp_path):
    fake.faults["/v1/models"] = [Fault(hangs=True)]
    with (
        engine_at(fake, bundled, tmp_path, response_timeout=1) as engine,
        pytest.raises(EngineError, match=r"no sign of life for 1 s.*engine.response_timeout"),
    ):
        _ = engine.context_size


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(200, b"<html>hello</html>"), "none of llama-server's or vLLM's"),
        (Fault(200, b"[" * 100_000), "none of llama-server's or vLLM's"),
        (Fault(200, b'{"data": []}'), "a server of 'nobody'"),
        (Fault(200, b" " * (9 << 20)), "none of llama-server's or vLLM's"),
        (Fault(404, b"no"), "is no llama-server and no vLLM"),
        (Fault(302, headers={"Location": "http://elsewhere/"}), "points to another address"),
    ],
    ids=["html", "deep", "empty", "large", "missing", "moved"],
)
def test_what_is_no_such_server_is_refused(fake, engine, fault, told):
    fake.faults["/v1/models"] = [fault]
    with pytest.raises(EngineError, match=told):
        _ = engine.context_size


def test_a_failed_start_is_tried_again(fake, engine):
    fake.faults["/v1/models"] = [Fault(503, b"loading")]
    with pytest.raises(EngineError):
        _ = engine.context_size
    assert engine.context_size == fake_vllm.CONTEXT


def test_a_key_is_read_from_its_file_and_asked_for(fake, bundled, tmp_path):
    fake.key = "secret"
    with (
        engine_at(fake, bundled, tmp_path) as engine,
        pytest.raises(EngineError, match="asks for a key"),
    ):
        _ = engine.context_size
    (tmp_path / "key").write_text("secret\n")
    with engine_at(fake, bundled, tmp_path, api_key_file=str(tmp_path / "key")) as engine:
        assert ask(engine, "hello", MIX)[0] == "a fine answer"


@pytest.mark.parametrize(
    "url",
    ["ftp://box", "box:8080", "http://", "http://a:b@box", "http://@box", "http://box?x=1", "http://x:y", "http://x:0"],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValueError, match="no address of a server"):
        settings.Engine(url=url)
