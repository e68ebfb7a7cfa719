"""Tab: commands, their arguments and files go on as far as it can be told how."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.values import AdapterInfo
from dlp_local.history import History
from tests.support.fakes import FakeAssistant
from tests.tui.window import window
from tui.chat_commands import BY_NAME, COMMANDS, matching
from tui.chat_commands.completion import complete
from tui.completion import words
from tui.state import Status

ADAPTERS = ("dates", "shell", "sql")
STATUS = Status("ready", adapters=ADAPTERS, pack_adapters=tuple(map(AdapterInfo, ADAPTERS)))
CHAT = SimpleNamespace(session=SimpleNamespace(status=STATUS, history=History(None)))


def labels(completion):
    return tuple(suggestion.label for suggestion in completion.suggestions)


@given(st.sampled_from(COMMANDS), st.data())
def test_completing_keeps_what_is_written_and_every_command_that_fits(command, data):
    typed = f"/{command.name[: data.draw(st.integers(0, len(command.name)))]}"
    longer = complete(typed, CHAT)
    assert longer.text.startswith(typed)
    assert labels(longer) == tuple(str(command) for command in matching(typed))
    assert len(longer.suggestions) == 1 or matching(longer.text) == matching(typed)


@given(st.text(), st.sampled_from(["", "/veto ", "/import ", "look at @"]))
def test_whatever_is_written_is_kept(text, before):
    completion = complete(before + text, CHAT)
    assert completion.text.startswith(before + text)
    assert all(suggestion.text.startswith(completion.text) for suggestion in completion.suggestions)


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
    completion = complete(typed, CHAT)
    assert (completion.text, labels(completion)) == (text, candidates)


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
    assert complete(typed, CHAT).text == text


def test_what_was_completed_is_one_word_again(here):
    assert words(complete("m", CHAT).text) == ["m"]
    assert words(complete("/import m", CHAT).text)[1:] == ["my talk.json"]


def test_hidden_files_are_not_offered_unless_a_dot_asks_for_them(here):
    assert labels(complete("/import ", CHAT)) == ("my talk.json", "naïve.txt", "notes/")


@pytest.mark.parametrize(
    ("command", "before", "choices"),
    [
        ("adapters remove", [], list(ADAPTERS)),
        ("adapters enable", [], []),
        ("adapters add", [], None),
        ("adapters add", ["x.gguf"], ()),
        ("adapters add", ["x.gguf", "sql"], None),
        ("mix", [], [*ADAPTERS, "base", "auto"]),
        ("system", [], ()),
    ],
)
def test_what_can_follow_a_command_depends_on_it(command, before, choices):
    assert BY_NAME[command].complete(CHAT, before) == choices


async def test_tab_lists_what_there_is_and_goes_as_far_as_it_is_sure():
    async with window(FakeAssistant()) as w:
        await w.type("/veto d")
        await w.press("tab")
        await w.sees("  dates", "  describe")
        await w.type("a")
        await w.press("tab")
        await w.until(lambda: w.prompt.text == "/veto dates ")
        await w.sees("/veto adapter: Never choose")
        assert "describe" not in w.text()


async def test_a_suggestion_is_picked_from_the_list():
    async with window(FakeAssistant()) as w:
        await w.type("/ex")
        await w.type("p")
        w.prompt.fill("/re")
        await w.sees("/rename title", "/retry [mix]")
        await w.press("down", "down", "enter")
        await w.until(lambda: w.prompt.text == "/retry ")
        await w.sees("/retry [mix]: Ask for another answer")


async def test_enter_does_what_is_written_unless_one_went_into_the_list():
    async with window(FakeAssistant()) as w:
        await w.type("/adapters")
        await w.sees("/adapters remove adapter")
        await w.press("enter")
        await w.sees("Adapters of the pack")


async def test_esc_closes_the_list_and_leaves_what_is_written():
    async with window(FakeAssistant()) as w:
        await w.type("/re")
        await w.sees("/rename title")
        await w.press("escape")
        await w.until(lambda: "/rename title" not in w.text())
        assert w.prompt.text == "/re"


async def test_tab_in_the_middle_of_a_text_leaves_it():
    async with window(FakeAssistant()) as w:
        await w.type("/veto d")
        await w.press("left", "tab")
        assert w.prompt.text == "/veto d"
