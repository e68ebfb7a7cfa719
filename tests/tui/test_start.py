"""Starting and leaving: what is imported before the first paint, and what the command line calls."""

import subprocess
import sys
import time

import pytest
import tomlkit

import tui
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.settings import Settings
from dlp_local.history import History
from dlp_local.opening import open_assistant
from dlp_local.packs import open_pack
from dlp_local.packs.create import copy_pack
from tests.support.fakes import FakeAssistant, Gate, loading
from tests.tui.window import window
from tui.app import ChatApp
from tui.option_lines import ValuesInForce
from tui.screens.adapters import AdaptersScreen
from tui.screens.conversations import ConversationsScreen
from tui.screens.options import OptionsScreen
from tui.widgets.fold import Fold
from tui.widgets.transcript import Transcript

HEAVY = ("llama_cpp", "onnxruntime", "torch", "numpy", "dlp_local.assistant", "dlp_local.engine")


def test_nothing_heavy_is_imported_before_the_first_paint():
    code = f"import sys, tui.app; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_textual_is_not_imported_with_the_package():
    code = "import sys, tui; print('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.asyncio
async def test_leaving_while_the_pack_loads_does_not_wait_for_it():
    gate = Gate()
    fake = FakeAssistant()
    async with window(loading(fake, gate), ready=False) as w:
        await w.until(gate.reached.is_set)
        await w.press("ctrl+q")
        before = time.monotonic()
        w.session.close(timeout=30)
        assert time.monotonic() - before < 10
        gate.open()
        await w.until(lambda: fake.closed)


@pytest.mark.parametrize(
    "widget",
    [
        lambda: OptionsScreen(ValuesInForce(ChatOptions(), {})),
        lambda: AdaptersScreen((), ""),
        lambda: ConversationsScreen(History(None)),
        lambda: Fold("Reasoning", "Because."),
    ],
    ids=["options", "adapters", "conversations", "a text in the conversation"],
)
@pytest.mark.asyncio
async def test_what_opens_as_the_window_closes_shows_no_error(widget):
    """Textual begins no part of a widget once it leaves, and one that is being mounted then has none."""
    async with window(FakeAssistant()) as w:
        opened = widget()
        if isinstance(opened, Fold):
            mounted = w.app.screen.query_one(Transcript).mount(opened)
            w.app.exit()
            await mounted
        else:
            shown = w.app.push_screen(opened)
            w.app.exit()
            await shown
        assert not opened.query("*")


@pytest.mark.parametrize("code", [0, 3])
def test_run_chat_returns_the_exit_code(monkeypatch, code):
    monkeypatch.setattr(ChatApp, "run", lambda app: app.exit(return_code=code))
    assert tui.run_chat(Settings()) == code


async def test_what_there_is_to_say_of_the_pack_is_said_when_it_is_open():
    fake = FakeAssistant()
    fake.notices = ("4096 tokens are asked for", "this is the small pack")
    async with window(fake) as w:
        await w.sees("4096 tokens are asked for", "this is the small pack")


@pytest.mark.parametrize("opened", ["with the window", "later"])
async def test_a_conversation_that_another_pack_answered_in_says_so(opened):
    history = History(None)
    number = history.start()
    history.finish(history.add_turn(number, None, "first", "mine").id, "one", None)
    async with window(FakeAssistant(), history=history, number=number if opened == "with the window" else None) as w:
        if opened == "later":
            await w.say(f"/open {number}")
        await w.sees("was held with the", "pack mine.", "/pack mine lets it answer")
        await w.press("ctrl+n")
        await w.say_and_wait("hello", "a fine answer")
        assert w.session.other_pack == ""


async def test_a_pack_of_ones_own_opens_with_its_name_its_adapters_and_messages_to_try(bundled, tmp_path):
    pack = copy_pack("mine", bundled)
    manifest = tomlkit.parse((pack / "pack.toml").read_text("utf-8"))
    for name in ("greeting", "examples"):
        manifest.pop(name, None)
    (pack / "pack.toml").write_text(tomlkit.dumps(manifest), "utf-8")
    first = open_pack(pack).examples("banking")[0]
    async with window(lambda: open_assistant(Settings(), pack), size=(120, 40)) as w:
        await w.sees("mine: banking, dates", "Try for example", first)
