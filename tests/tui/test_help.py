"""F1 tells every key, from the same table that runs them."""

import pytest
from textual.widgets import Static

from dlp_local.core.server_address import Server
from dlp_local.core.settings import Settings
from tests.support.fakes import FakeAssistant
from tests.tui.window import window
from tui import place_of
from tui.chat_commands import COMMANDS
from tui.screens.help import HelpScreen, key_name, key_table
from tui.state import Place


async def test_f1_lists_the_chats_own_keys_and_no_others():
    async with window(FakeAssistant(), size=(100, 160)) as w:
        bindings = w.app.screen.active_bindings
        await w.press("f1")
        await w.sees("Help", "Esc closes")
        words = w.text().replace(",", " ").split()
        own = [key for key, active in bindings.items() if active.binding.show]
        assert [key for key in own if key_name(key) not in words] == []
        assert "Ctrl+W" not in words
        for chosen in ("enter", "shift+enter", "ctrl+j", "escape", "ctrl+n", "f1", "ctrl+c", "ctrl+q", "up"):
            assert chosen in bindings


async def test_help_lists_every_command():
    async with window(FakeAssistant(), size=(110, 140)) as w:
        await w.say("/help")
        await w.sees("Commands", *(f"{command.help}" for command in COMMANDS if len(command.help) < 50))
        await w.sees(*(f"/{command.name} " for command in COMMANDS))


async def test_the_chats_own_keys_come_first():
    async with window(FakeAssistant()) as w:
        own = key_table(w.app.screen.active_bindings)
        assert own[:2] == [("Enter", "Send"), ("Shift+Enter, Alt+Enter, Ctrl+Enter, Ctrl+J", "New line")]
        assert all(description for _, description in own)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (Place(), "Nothing leaves this machine."),
        (Place(server="http://box:11500"), "Messages go to the server http://box:11500, which answers them;"),
        (Place(engine="http://box:8080"), "Messages go to the engine at http://box:8080, which answers them;"),
    ],
)
async def test_help_says_where_messages_go(place, told):
    async with window(FakeAssistant(), place=place) as w:
        await w.press("f1")
        await w.sees("Esc closes")
        words = str(w.app.screen.query("#help Static").first(Static).content)
        assert told in words
        assert ("Nothing leaves" in words) == (place == Place())


async def test_the_status_line_names_the_engine_that_computes_elsewhere():
    async with window(FakeAssistant(), place=Place(engine="http://box:8080")) as w:
        await w.sees("bundled · engine box:8080 · 6 adapters · ready")


async def test_where_messages_go_is_known_from_the_settings_and_the_flags():
    settings = Settings(engine={"url": "http://box:8080"})
    assert place_of(Settings()) == Place()
    assert place_of(settings) == Place(engine="http://box:8080")
    assert place_of(settings, Server("http://box:11500")) == Place(server="http://box:11500")


@pytest.mark.parametrize("key", ["escape", "f1", "ctrl+c", "enter"])
async def test_help_closes_and_one_writes_on(key):
    async with window(FakeAssistant(), size=(80, 24)) as w:
        await w.type("dra")
        await w.press("f1")
        await w.until(lambda: isinstance(w.app.screen, HelpScreen))
        await w.press(key)
        await w.until(lambda: not isinstance(w.app.screen, HelpScreen))
        await w.type("ft")
        assert w.prompt.text == "draft"


async def test_help_fits_a_small_terminal():
    async with window(FakeAssistant(), size=(80, 24)) as w:
        await w.press("f1")
        await w.sees("Help")
        panel = w.app.screen.query_one("#help")
        assert panel.region.right <= 80
        assert panel.region.bottom <= 24
        assert all(part.region.right <= panel.region.right for part in panel.query(Static))
