"""The receipt unfolded: what each key does with the routing of a turn."""

from dataclasses import replace

import pytest

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.values import Message, Mix
from tests.support.fakes import Answer, FakeAssistant, Gate
from tests.tui.window import READY, window
from tui.screens.routing import RoutingScreen

pytestmark = pytest.mark.asyncio


async def unfolded(w):
    await w.press("f4")
    await w.until(lambda: isinstance(w.app.screen, RoutingScreen))


async def test_f4_shows_every_adapter_with_its_probability_and_weight():
    async with window(FakeAssistant(Answer(["o", "n", "e"])), size=(90, 40)) as w:
        await w.say_and_wait("question", "one")
        await unfolded(w)
        await w.sees("question", "sql", "0.719  0.72", "shell", "0.219  0.22", "banking", "confidence 0.72", "tok/s")
        await w.press("escape")
        await w.sees("Write a message")


async def test_a_click_on_the_receipt_unfolds_it():
    async with window(FakeAssistant(Answer(["one"]))) as w:
        await w.say_and_wait("question", "one")
        await w.pilot.click("Receipt")
        await w.sees("How this message was routed")


async def test_a_mix_is_pinned_and_let_go_again():
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.say_and_wait("question", "a fine answer")
        await unfolded(w)
        await w.press("p")
        await w.sees("pinned")
        await w.say_and_wait("next", "a fine answer")
        assert fake.calls[1].options.mix == Mix.of({"sql": 0.72, "shell": 0.22})
        await unfolded(w)
        await w.sees("unpin")
        await w.press("p")
        await w.until(lambda: w.session.conversation.options == ChatOptions())


async def test_an_adapter_is_vetoed_but_never_the_bare_backbone():
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.say_and_wait("question", "a fine answer")
        await unfolded(w)
        await w.press("v")
        await w.until(lambda: w.session.conversation.options.vetoed == ("sql",))
        await unfolded(w)
        await w.sees("vetoed")
        await w.press("down", "down", "v")
        await w.sees("cannot be vetoed")


async def test_again_with_one_adapter_alone():
    fake = FakeAssistant(Answer(["one"]), Answer(["again"]))
    async with window(fake) as w:
        await w.say_and_wait("question", "one")
        await unfolded(w)
        await w.press("down", "a")
        await w.sees("again", "‹ 2/2 ›", READY)
        assert fake.calls[1].mix == Mix.of({"shell": 1.0})


async def test_again_with_weights_by_hand_and_a_wrong_name_is_told():
    fake = FakeAssistant(Answer(["one"]), Answer(["again"]))
    async with window(fake) as w:
        await w.say_and_wait("question", "one")
        await unfolded(w)
        await w.press("m")
        field = w.app.screen.query_one("#weights")
        assert field.value == "shell=0.21875,sql=0.71875"
        field.value = "squeal=1"
        await w.press("enter")
        await w.sees("there is no adapter 'squeal'")
        field.value = "dates=0.5"
        await w.press("enter")
        await w.sees("again", "‹ 2/2 ›", READY)
        assert fake.calls[1].mix == Mix.of({"dates": 0.5})


@pytest.mark.parametrize(("key", "kept"), [("left", "one"), ("right", "other"), ("escape", "other")])
async def test_two_mixes_side_by_side_and_one_of_them_stays(key, kept):
    fake = FakeAssistant(Answer(["one"]), Answer(["other"]))
    async with window(fake, size=(100, 30)) as w:
        await w.say_and_wait("question", "one")
        await unfolded(w)
        await w.press("s")
        w.app.screen.query_one("#weights").value = "base"
        await w.press("enter")
        await w.sees("Side by side", "one", "other")
        await w.until(lambda: not w.session.busy)
        await w.press(key)
        await w.sees(kept, READY)
        assert w.session.turn(w.session.conversation.tip).answer == kept
        assert fake.calls[1].mix == Mix()


async def test_the_right_adapter_is_stored_as_a_correction():
    async with window(FakeAssistant()) as w:
        await w.say_and_wait("question", "a fine answer")
        await unfolded(w)
        await w.press("down", "w")
        await w.sees("W once more: this message", "go to shell from")
        assert w.session.history.corrections() == []
        await w.press("w")
        await w.sees("this belongs to shell")
        (correction,) = w.session.history.corrections()
        assert (correction.text, correction.right) == ("question", "shell")
        assert correction.wrong == Mix.of({"sql": 0.72, "shell": 0.22})


async def test_a_correction_is_taken_back_where_it_was_made():
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.say_and_wait("question", "a fine answer")
        await unfolded(w)
        await w.press("down", "w", "w")
        await w.sees("this belongs to shell", "takes it back")
        await unfolded(w)
        await w.sees("corrected", "or take back")
        await w.press("down", "w")
        await w.sees("Taken back")
        assert w.session.history.corrections() == []
        await w.until(lambda: fake.corrected == [("question", "shell"), ("question", None)])
        await unfolded(w)
        assert "corrected" not in w.text()


async def test_what_the_router_says_stands_beside_a_mix_given_by_hand():
    fake = FakeAssistant(Answer(["one"], mix=Mix.of({"dates": 0.5}), by_hand=True))
    async with window(fake) as w:
        await w.say_and_wait("question", "one")
        await unfolded(w)
        rows = [line.split() for line in w.text().splitlines()]
        assert next(row for row in rows if "sql" in row)[-3:] == ["0.719", "-", "│"]
        assert next(row for row in rows if "dates" in row)[-3:] == ["-", "0.50", "│"]
        await w.sees("mix given by hand")


async def test_the_routing_of_a_marked_message_is_unfolded():
    fake = FakeAssistant(Answer(["one"]), Answer(["two"]))
    async with window(fake) as w:
        await w.say_and_wait("first question", "one")
        await w.say_and_wait("second question", "two")
        await w.press("ctrl+up", "ctrl+up")
        await unfolded(w)
        await w.sees("first question", "How this message was routed")
        await w.press("escape", "escape")


async def test_it_fits_a_small_terminal():
    async with window(FakeAssistant(), size=(80, 24)) as w:
        await w.say_and_wait("question", "a fine answer")
        await unfolded(w)
        await w.sees("W this is the right one", "Esc closes", "base")
        panel = w.app.screen.query_one("#routing")
        assert panel.region.right <= 80
        assert panel.region.bottom <= 24


async def test_before_the_first_message_there_is_nothing_to_unfold():
    async with window(FakeAssistant()) as w:
        await w.press("f4")
        await w.sees("there is no message yet")


PARTS = Answer(parts=[("tar: list a.tar", "shell", "tar tf a.tar"), ("to ISO: 4 July 1999", "dates", "1999-07-04")])


async def test_an_answer_in_parts_is_one_answer_with_a_receipt_for_each_part():
    async with window(FakeAssistant(PARTS)) as w:
        await w.say_and_wait("both", "1999-07-04")
        await w.sees(
            "tar tf a.tar", "1. shell 1.00 · 2 ms route · 90 ms first token", "2. dates 1.00 · 90 ms first token"
        )
        assert w.session.history_messages == (
            Message("user", "both"),
            Message("assistant", "tar tf a.tar\n\n1999-07-04"),
        )


async def test_f4_shows_one_part_after_the_other_and_corrects_the_one_that_is_shown():
    fake = FakeAssistant(PARTS)
    async with window(fake) as w:
        await w.say_and_wait("both", "1999-07-04")
        await unfolded(w)
        await w.sees("part 1 of 2", "tar: list a.tar", "shell", "0.970  1.00")
        await w.press("right")
        await w.sees("part 2 of 2", "to ISO: 4 July 1999", "dates", "0.970  1.00")
        await w.press("right")
        await w.sees("part 1 of 2")
        await w.press("left", "w")
        await w.sees("this part, and those almost like it, go to dates")
        await w.press("down", "w", "w")
        await w.until(lambda: fake.corrected)
        (correction,) = w.session.history.corrections()
        assert correction.text == fake.corrected[0][0] == "to ISO: 4 July 1999"
        assert correction.wrong == Mix.of({"dates": 1.0})


async def test_what_is_pinned_is_the_mix_of_the_part_that_is_shown():
    fake = FakeAssistant(PARTS)
    async with window(fake) as w:
        await w.say_and_wait("both", "1999-07-04")
        await unfolded(w)
        await w.press("right", "p")
        await w.until(lambda: w.session.conversation.options.mix == Mix.of({"dates": 1.0}))


async def test_a_part_is_corrected_while_the_answer_is_still_written():
    gate = Gate()
    fake = FakeAssistant(replace(PARTS, gate=gate, before_gate=1))
    async with window(fake) as w:
        await w.say("both")
        await w.sees("tar tf a.tar")
        await unfolded(w)
        await w.press("right", "down", "w", "w")
        await w.sees("Noted: this belongs to base")
        gate.open()
        await w.until(lambda: fake.corrected)
        assert fake.corrected == [("to ISO: 4 July 1999", "base")]


@pytest.mark.parametrize(("width", "height"), [(60, 20), (56, 20), (120, 40)])
async def test_each_adapter_has_one_line_with_its_whole_name_however_narrow_the_window(width, height):
    fake = FakeAssistant()
    fake.adapters = ("sql", "shell", "expiration_date_of_cards")
    async with window(fake, size=(width, height)) as w:
        await w.say_and_wait("question", "a fine answer")
        await unfolded(w)
        await w.sees("0.719  0.72", "expiration_date_of_cards", "W this")
        lines = [line for line in w.text().splitlines() if "0.719  0.72" in line]
        assert len(lines) == 1
        assert "sql" in lines[0]


async def test_the_columns_follow_the_width_of_the_window():
    fake = FakeAssistant()
    async with window(fake, size=(120, 40)) as w:
        await w.say_and_wait("question", "a fine answer")
        await unfolded(w)
        await w.press("down")
        await w.pilot.resize_terminal(48, 40)
        await w.sees("0.719  0.72")
        await w.press("a")
        await w.until(lambda: len(fake.calls) == 2)
        assert fake.calls[1].mix == Mix.of({"shell": 1.0})
