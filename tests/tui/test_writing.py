"""Writing: newlines, recalling, pasting, keys that come faster than the window."""

import sys
import threading
from contextlib import nullcontext

import pytest
from textual.widgets import Input

from dlp_local.core.errors import InputError
from dlp_local.history import History
from tests.support.fakes import Answer, FakeAssistant, Gate
from tests.tui.window import READY, window
from tui.screens.options import OptionsScreen
from tui.terminal import KeyParser

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("key", ["shift+enter", "ctrl+enter", "ctrl+j"])
async def test_a_newline_does_not_send(key):
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.type("one")
        await w.press(key)
        await w.type("two")
        assert w.prompt.text == "one\ntwo"
        await w.press("enter")
        await w.until(lambda: fake.calls)
        assert fake.calls[0].text == "one\ntwo"


async def test_the_prompt_grows_and_keeps_room_for_the_conversation():
    async with window(FakeAssistant(), size=(80, 24)) as w:
        assert w.prompt.size.height == 1
        w.prompt.fill("1\n2\n3")
        await w.until(lambda: w.prompt.size.height == 3)
        w.prompt.fill("\n" * 50)
        await w.until(lambda: w.prompt.outer_size.height == 9)


async def test_a_message_that_cannot_go_is_not_lost_where_another_is_written_meanwhile(monkeypatch):
    reached, gate = threading.Event(), threading.Event()

    def attach(text, _):
        reached.set()
        gate.wait(30)
        raise InputError("a.txt: is not there.")

    monkeypatch.setattr("tui.screens.chat.attach", attach)
    async with window(FakeAssistant()) as w:
        await w.say("the first @a.txt")
        await w.until(reached.is_set)
        await w.type("another")
        gate.set()
        await w.sees("Up brings back")
        assert w.prompt.text == "another"
        await w.press("up")
        await w.until(lambda: w.prompt.text == "the first @a.txt")


async def test_blank_messages_are_not_sent():
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.press("enter")
        await w.say("  \n ")
        await w.say_and_wait("real", "a fine answer")
        assert [call.text for call in fake.calls] == ["real"]


async def test_up_in_an_empty_prompt_recalls_the_last_message():
    async with window(FakeAssistant()) as w:
        await w.press("up")
        assert w.prompt.text == ""
        await w.say_and_wait("said\nbefore", "a fine answer")
        await w.press("up")
        await w.until(lambda: w.prompt.text == "said\nbefore")
        assert w.prompt.cursor_location == (1, 6)
        await w.press("up")
        assert w.prompt.cursor_location[0] == 0
        assert w.prompt.text == "said\nbefore"


async def test_enter_does_not_overtake_the_letters_before_it():
    fake = FakeAssistant()
    async with window(fake) as w:
        w.burst(*"one", "ctrl+j", *"two", "enter")
        await w.until(lambda: fake.calls and not w.prompt.text)
        assert fake.calls[0].text == "one\ntwo"


BURSTS = (
    ("short backspace backspace e", "shoe"),
    ("teh backspace backspace hex backspace", "the"),
    ("abc backspace d", "abd"),
    ("abc left d", "abdc"),
    ("abc left left delete d", "adc"),
    ("bc home a end d", "abcd"),
    ("bc ctrl+a a ctrl+e d", "abcd"),
    ("xy ctrl+u new", "new"),
    ("ab left left x ctrl+k y", "xy"),
    ("one _ two ctrl+w th", "one th"),
    ("one _ two ctrl+left x", "one xtwo"),
    ("abc shift+left shift+left x", "ax"),
)
"""Words of letters, keys, and `_` for a space."""


def struck(keys):
    """Every key of a line such as `abc left d`."""
    for word in keys.split():
        named = "+" in word or word in ("backspace", "delete", "left", "home", "end")
        yield from [word] if named else word.replace("_", " ")


async def test_every_key_of_a_burst_acts_in_the_order_in_which_it_was_struck():
    fake = FakeAssistant()
    async with window(fake) as w:
        for keys, written in (*BURSTS, ("abc ctrl+z x", "x"), ("abc ctrl+z ctrl+y x", "abcx")):
            w.prompt.fill("")
            w.burst(*struck(keys), "!")
            await w.until(lambda: "!" in w.prompt.text)
            await w.pilot.pause()
            assert w.prompt.text.replace("!", "", 1) == written, keys
        w.prompt.fill("")
        w.burst(*struck(BURSTS[0][0]), "enter")
        await w.sees("a fine answer", READY)
        assert fake.calls[0].text == "shoe"


@pytest.mark.parametrize("key", ["enter", "ctrl+s"])
async def test_every_key_of_a_burst_acts_in_order_in_a_line_of_a_form(key):
    async with window(FakeAssistant()) as w:
        await w.press("f7")
        await w.until(lambda: isinstance(w.app.screen, OptionsScreen))
        line = w.app.screen.query_one("#system", Input)
        line.focus()
        for keys, written in BURSTS:
            line.value = ""
            w.burst(*struck(keys), "!")
            await w.until(lambda: "!" in line.value)
            await w.pilot.pause()
            assert line.value.replace("!", "", 1) == written, keys
        line.value = ""
        w.burst(*struck(BURSTS[0][0]), key)
        await w.until(lambda: w.session.conversation.options.system == "shoe")


async def test_one_can_write_while_an_answer_is_written():
    gate = Gate()
    async with window(FakeAssistant(Answer(["part", "rest"], gate=gate, before_gate=1))) as w:
        await w.say("go")
        await w.sees("part")
        await w.type("meanwhile")
        assert w.prompt.text == "meanwhile"
        gate.open()
        await w.sees("tok/s", READY)
        assert w.prompt.text == "meanwhile"


async def test_control_characters_of_a_paste_are_left_out():
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.paste("a\x1b]0;title\x07b\r\nc\td\x00")
        assert w.prompt.text == "a]0;titleb\nc\td"
        await w.press("enter")
        await w.until(lambda: fake.calls)
        assert fake.calls[0].text == "a]0;titleb\nc\td"


async def test_ctrl_c_copies_a_selection_rather_than_quit():
    async with window(FakeAssistant()) as w:
        w.prompt.fill("take this")
        w.prompt.select_all()
        await w.press("ctrl+c")
        await w.until(lambda: w.app.clipboard == "take this")
        assert w.app.return_code is None


async def test_a_paste_of_a_megabyte_is_taken_and_sent_whole():
    fake, text = FakeAssistant(), "word and more\n" * 75_000
    async with window(fake) as w:
        await w.paste(text)
        await w.until(lambda: w.prompt.text == text)
        await w.type("end")
        await w.press("enter")
        await w.sees("a fine answer")
        assert fake.calls[0].text == text + "end"


async def test_lines_that_are_pasted_as_keys_are_one_draft():
    fake = FakeAssistant()
    async with window(fake) as w:
        w.burst(*"one", "enter", *"two", "tab", "x", "enter", *"three")
        await w.until(lambda: w.prompt.text == "one\ntwo\tx\nthree")
        await w.pilot.pause(0.1)
        assert fake.calls == []
        await w.press("enter")
        await w.until(lambda: fake.calls)
        assert fake.calls[0].text == "one\ntwo\tx\nthree"


async def test_pasted_lines_with_an_enter_at_their_end_are_not_sent_by_it():
    fake = FakeAssistant()
    async with window(fake) as w:
        w.burst(*"one", "enter", *"two", "enter")
        await w.until(lambda: w.prompt.text == "one\ntwo\n")
        await w.pilot.pause(0.1)
        assert fake.calls == []


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("\x1b[27;2;13~", ["shift+enter"]),
        ("\x1b\r", ["alt+enter"]),
        ("\x1b[27;5;13~", ["ctrl+enter"]),
        ("\x1b[13;5u", ["ctrl+enter"]),
        ("\x1b[13;5:1u\x1b[13;5:3u", ["ctrl+enter"]),
        ("\x1b[13;2u", ["shift+enter"]),
        ("\x1b[1;5:2A", ["ctrl+up"]),
        ("\x1b[1;5A", ["ctrl+up"]),
        ("\x1b[3~", ["delete"]),
        ("\x1b[57414;5u", ["ctrl+enter"]),
        ("\r", ["enter"]),
    ],
)
async def test_keys_as_terminals_spell_them(sent, keys):
    assert [event.key for event in KeyParser().feed(sent)] == keys


@pytest.mark.parametrize(
    ("sent", "letter"),
    [("\x1b[27;2;65~", "A"), ("\x1b[97;2u", "A"), ("\x1b[97:65;2u", "A"), ("\x1b[228;2u", "Ä"), ("\x1b[27;2;32~", " ")],
)
async def test_a_letter_struck_with_shift_is_written_however_the_terminal_spells_it(sent, letter):
    (event,) = KeyParser().feed(sent)
    assert (event.character, event.is_printable) == (letter, True)


async def test_up_and_down_walk_through_everything_that_was_sent():
    history = History(None)
    turn = history.add_turn(history.start(), None, "long ago")
    history.finish(turn.id, "answered", None)
    async with window(FakeAssistant(), history=history) as w:
        await w.say_and_wait("first", "a fine answer")
        await w.say("/stats")
        await w.type("half written")
        for text in ("/stats", "first", "long ago"):
            await w.press("up")
            await w.until(lambda text=text: w.prompt.text == text)
        await w.press("up")
        for text in ("first", "/stats", "half written"):
            await w.press("down")
            await w.until(lambda text=text: w.prompt.text == text)


async def test_a_message_is_written_in_the_users_editor(tmp_path, monkeypatch):
    script = tmp_path / "editor.py"
    script.write_text("import pathlib, sys\nf = pathlib.Path(sys.argv[1])\nf.write_text(f.read_text() + ' more\\n')\n")
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
    monkeypatch.delenv("VISUAL", raising=False)
    async with window(FakeAssistant()) as w:
        monkeypatch.setattr(w.app, "suspend", nullcontext)
        await w.type("some")
        await w.press("ctrl+x", "ctrl+e")
        await w.until(lambda: w.prompt.text == "some more")


@pytest.mark.parametrize(
    ("editor", "told"), [("no-such-editor", "no-such-editor: cannot be run"), ("it's", "a quote is not closed")]
)
async def test_an_editor_that_cannot_be_run_is_told_and_the_message_stays(monkeypatch, editor, told):
    monkeypatch.setenv("EDITOR", editor)
    monkeypatch.delenv("VISUAL", raising=False)
    async with window(FakeAssistant()) as w:
        monkeypatch.setattr(w.app, "suspend", nullcontext)
        await w.type("some")
        await w.press("ctrl+x", "ctrl+e")
        await w.sees(told)
        assert w.prompt.text == "some"
