"""`ask --stream`: what was printed cannot be taken back, so it is told what it was."""

import pytest
from typer.testing import CliRunner

from dlp_local.cli.main import app
from tests.support.fakes import Answer, FakeAssistant


class Opened(FakeAssistant):
    """As `open_assistant` gives it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.mark.parametrize("streams", [True, False])
def test_streamed_reasoning_that_shows_itself_late_is_told_to_be_none_of_the_answer(monkeypatch, streams):
    answer = Answer(["Four."], reasoning="hm", is_reasoning_late=True)
    monkeypatch.setattr("dlp_local.opening.open_assistant", lambda _: Opened(answer))
    result = CliRunner().invoke(app, ("ask", "2 + 2?", "--no-stdin", "--stream" if streams else "--no-stream"))
    assert result.stdout == ("hm\nFour.\n" if streams else "Four.\n")
    assert ("what was printed so far is the model's reasoning" in result.stderr) == streams


@pytest.mark.parametrize("finish_reason", ["stop", "length"])
def test_more_tokens_are_advised_only_where_the_limit_cut_the_reasoning_off(monkeypatch, finish_reason):
    answer = Answer([], reasoning="hm", finish_reason=finish_reason)
    monkeypatch.setattr("dlp_local.opening.open_assistant", lambda _: Opened(answer))
    result = CliRunner().invoke(app, ("ask", "2 + 2?", "--no-stdin"))
    assert "ended within its reasoning" in result.stderr
    assert ("--max-tokens" in result.stderr) == (finish_reason == "length")
