"""`dlp-local doctor` with a server at engine.url: what it is stands there, and what would be wrong with this machine's
own engine does not.
"""

import pytest

from dlp_local.doctor import run_checks
from tests.support import fake_vllm


@pytest.fixture
def fake(bundled):
    with fake_vllm.running(bundled / "backbone.gguf") as running:
        yield running


def found(monkeypatch, url):
    monkeypatch.setenv("DLP_LOCAL_ENGINE__URL", url)
    return {check.name: check for check in run_checks("bundled")}


def test_the_engine_is_named_with_what_it_has_and_no_memory_is_asked_for_here(monkeypatch, fake):
    checks = found(monkeypatch, fake.url)
    assert checks["engine"].is_well
    assert checks["engine"].detail.startswith(f"vLLM 0.32.0 at {fake.url}, 6 adapters, 512 tokens of context, ")
    assert not {"bundled: memory", "bundled: context"} & checks.keys()
    assert checks["answer"].is_well
    assert "gave 'a fine answer'" in checks["answer"].detail


def test_an_engine_that_does_not_answer_is_told_as_that_and_once(monkeypatch):
    checks = found(monkeypatch, "http://127.0.0.1:9")
    wrong = {name: check for name, check in checks.items() if not check.is_well}
    assert list(wrong) == ["engine"]
    assert "http://127.0.0.1:9: nothing answers there" in wrong["engine"].detail
    assert "unset engine.url" in wrong["engine"].next_step
    assert "answer" not in checks


def test_without_an_address_there_is_no_engine_to_look_at(monkeypatch):
    assert "engine" not in found(monkeypatch, "")
