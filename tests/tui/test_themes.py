"""Themes and keys, as the settings have them."""

import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.settings import Ui, load_settings
from dlp_local.history import History
from tests.support.fakes import Answer, FakeAssistant
from tests.tui.window import window
from tui.app import ChatApp
from tui.themes import HIGH_CONTRAST, keep_theme, theme


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", ["foreground", "primary", "secondary", "warning", "error", "success"])
def test_the_high_contrast_theme_keeps_seven_to_one(name):
    colour = getattr(HIGH_CONTRAST, name)
    assert (luminance(colour) + 0.05) / (luminance(HIGH_CONTRAST.background) + 0.05) >= 7


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["textual-light", "high-contrast", "ansi-dark"])
async def test_a_theme_of_the_settings_is_taken(name):
    app = ChatApp(lambda _: FakeAssistant(), History(None), ui=Ui(theme=name))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert app.theme == name
    app.session.close()


@pytest.mark.asyncio
async def test_a_theme_that_was_chosen_is_kept_and_the_rest_of_the_file_stays(tmp_path, monkeypatch):
    file = tmp_path / "config.toml"
    file.write_text('# mine\nsystem = "x"\n\n[ui]\nkeys = { new = "f9" }\n', "utf-8")
    monkeypatch.setenv("DLP_LOCAL_CONFIG", str(file))
    async with window(FakeAssistant()) as w:
        await w.say("/theme high-contrast")
        await w.until(lambda: load_settings().ui.theme == "high-contrast")
    assert file.read_text("utf-8").startswith('# mine\nsystem = "x"\n')
    assert load_settings().ui.keys == {"new": "f9"}


def test_a_theme_is_kept_where_there_was_no_file_and_a_broken_file_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("DLP_LOCAL_CONFIG", str(tmp_path / "new" / "config.toml"))
    keep_theme("textual-light")
    assert load_settings().ui.theme == "textual-light"
    broken = tmp_path / "broken.toml"
    broken.write_text("ui = 1\n", "utf-8")
    monkeypatch.setenv("DLP_LOCAL_CONFIG", str(broken))
    with pytest.raises(InputError, match="cannot be kept"):
        keep_theme("textual-light")
    assert broken.read_text("utf-8") == "ui = 1\n"


def test_an_unknown_theme_is_told_with_those_there_are():
    with pytest.raises(InputError, match=r"no theme 'pink'.*high-contrast"):
        theme("pink")


@pytest.mark.asyncio
async def test_keys_can_be_others():
    app = ChatApp(
        lambda _: FakeAssistant(Answer(["one"])),
        History(None),
        ui=Ui(keys={"new": "f9", "send": "ctrl+j", "newline": "enter"}),
    )
    async with app.run_test() as pilot:
        await pilot.press("a", "enter", "b")
        prompt = app.screen.query_one("Prompt")
        assert prompt.text == "a\nb"
        bindings = app.screen.active_bindings
        assert bindings["f9"].binding.description == "Begin a new conversation"
        assert "ctrl+n" not in bindings
        await pilot.press("ctrl+j")
        await pilot.pause()
        assert prompt.text == ""
    app.session.close()


@pytest.mark.parametrize(
    ("keys", "told"),
    [({"fly": "f9"}, "no key called fly"), ({"new": "f1"}, "f1 would be both"), ({"new": "f9,escape"}, "escape")],
)
def test_keys_that_cannot_be_are_told(keys, told):
    with pytest.raises(InputError, match=told):
        ChatApp(lambda _: FakeAssistant(), History(None), ui=Ui(keys=keys))
