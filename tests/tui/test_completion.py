"""Tab: commands, their arguments and files go on as far as it can be told how."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import FakeAssistant
from tests.tui.window import window
from tui.command_table import COMMANDS, matching
from tui.completion import complete, words


def nothing(*_):
    return []


def files(*_):
    return None


@given(st.sampled_from(COMMANDS), st.data())
def test_completing_keeps_what_is_written_and_every_command_that_fits(command, data):
    typed = f"/{command.name[: data.draw(st.integers(0, len(command.name)))]}"
    longer = complete(typed, nothing)
    assert longer.text.startswith(typed)
    assert len(longer.candidates) == len(matching(typed))
    assert len(longer.candidates) == 1 or matching(longer.text) == matching(typed)


@given(st.text(), st.sampled_from([nothing, files, lambda *_: ["sql", "shell"]]))
def test_whatever_is_written_is_kept(text, choices):
    assert complete(text, choices).text.startswith(text)


@pytest.mark.parametrize(
    ("typed", "text", "candidates"),
    [
        ("/veto s", "/veto s", ("shell", "sql")),
        ("/veto sq", "/veto sql ", ("sql",)),
        ("/veto x", "/veto x", ()),
        ("/mix sql=0.5,sh", "/mix sql=0.5,shell ", ("shell",)),
        ("/veto ", "/veto ", ("dates", "shell", "sql")),
    ],
)
def test_words_that_can_follow(typed, text, candidates):
    completion = complete(typed, lambda *_: ["shell", "sql", "dates"])
    assert (completion.text, completion.candidates) == (text, candidates)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "notes"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "notes"))
    (tmp_path / "notes").mkdir()
    for name in ("notes/one.txt", "notes/only.txt", "my talk.json", ".hidden", "naïve.txt"):
        (tmp_path / name).write_text("x", "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("/import no", "/import notes/"),
        ("/import notes/o", "/import notes/on"),
        ("/import notes/one", "/import notes/one.txt "),
        ("/import ~/onl", "/import ~/only.txt "),
        ("/import m", '/import "my talk.json" '),
        ('/import "m', '/import "my talk.json" '),
        ("/import .h", "/import .hidden "),
        ("/import nowhere/x", "/import nowhere/x"),
        ("look at @notes/one", "look at @notes/one.txt "),
        ("look at @m", 'look at @"my talk.json" '),
        ("write to ana@no", "write to ana@no"),
        ("/adapters add notes/one.txt sql na", "/adapters add notes/one.txt sql naïve.txt "),
    ],
)
def test_files_that_can_follow(here, typed, text):
    assert complete(typed, files).text == text


def test_what_was_completed_is_one_word_again(here):
    assert words(complete("m", nothing).text) == ["m"]
    assert words(complete("/import m", files).text)[1:] == ["my talk.json"]


def test_hidden_files_are_not_offered_unless_a_dot_asks_for_them(here):
    assert complete("/import ", files).candidates == ("my talk.json", "naïve.txt", "notes/")


async def test_what_can_follow_a_command_depends_on_it():
    fake = FakeAssistant()
    async with window(fake) as w:
        choices = w.screen_deeds.choices
        assert choices("adapters remove", []) == list(fake.adapters)
        assert choices("adapters enable", []) == []
        assert choices("adapters add", []) is None
        assert choices("adapters add", ["x.gguf"]) == []
        assert choices("adapters add", ["x.gguf", "sql"]) is None
        assert "auto" in choices("mix", [])
        assert "high-contrast" in choices("theme", [])
        assert choices("system", []) == []


async def test_tab_shows_what_there_is_and_goes_as_far_as_it_is_sure():
    async with window(FakeAssistant()) as w:
        await w.type("/veto d")
        await w.press("tab")
        await w.sees("─ dates · describe ─")
        await w.type("a")
        await w.press("tab")
        assert w.prompt.text == "/veto dates "
        await w.sees("/veto adapter: never choose")


async def test_tab_in_the_middle_of_a_text_leaves_it():
    async with window(FakeAssistant()) as w:
        await w.type("/veto d")
        await w.press("left", "tab")
        assert w.prompt.text == "/veto d"
