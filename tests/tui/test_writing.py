"""Writing: newlines, recalling, pasting, keys that come faster than the window."""

import pytest

from tests.support.fakes import Answer, FakeAssistant, Gate
from tests.tui.window import READY, window

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("key", ["shift+enter", "ctrl+j"])
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
        w.burst(*"one", "ctrl+j", *"two", "enter", *"next")
        await w.until(lambda: fake.calls and w.prompt.text == "next")
        assert fake.calls[0].text == "one\ntwo"


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
