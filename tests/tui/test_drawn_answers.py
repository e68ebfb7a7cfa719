"""How an answer is drawn: while it grows, while one reads elsewhere, and with its reasoning."""

import itertools
import time

import pytest

from dlp_local.core.values import Mix
from dlp_local.history import History
from tests.support.fakes import Answer, FakeAssistant, Gate
from tests.tui.window import READY, long_conversation, window
from tui.widgets.transcript import AT_ONCE, MOST_DRAWN, Transcript


async def test_reading_further_up_is_not_disturbed_by_a_growing_answer():
    gate = Gate()
    fake = FakeAssistant(
        Answer(["\n".join(f"line {n}" for n in range(60))]),
        Answer(["new\n" * 9, "more\n" * 40], gate=gate, before_gate=1),
    )
    async with window(fake, size=(80, 24)) as w:
        await w.say_and_wait("long", "line 59")
        await w.say("longer")
        await w.sees("new")
        await w.press("pageup", "pageup")
        transcript = w.app.screen.query_one(Transcript)
        await w.until(lambda: transcript.scroll_y == transcript.scroll_target_y < transcript.max_scroll_y)
        before = transcript.scroll_y
        gate.open()
        await w.until(lambda: not w.session.busy)
        await w.sees(READY)
        assert transcript.scroll_y == before
        await w.say("down again")
        await w.sees("a fine answer")


async def test_text_stays_where_it_is_until_the_window_is_full():
    gate = Gate()
    async with window(FakeAssistant(Answer(["one\n", "two\n", "three"], gate=gate, before_gate=1))) as w:
        top = w.text().splitlines()[:5]
        await w.say("go")
        await w.sees("one")
        assert w.text().splitlines()[:5] == top
        gate.open()
        await w.sees("three", READY)
        assert w.text().splitlines()[:5] == top


async def test_a_long_receipt_breaks_between_its_parts():
    mix = Mix.of({"banking": 0.4, "describe": 0.3, "extract": 0.2})
    async with window(FakeAssistant(Answer(mix=mix))) as w:
        await w.say("hi")
        await w.sees("banking 0.41 · describe 0.31 · extract 0.19 · base 0.09 · 2 ms route", "96 tok/s")
        await w.sees("   180 ms first token · 96 tok/s")


async def test_an_answer_is_drawn_though_the_machine_is_so_busy_that_timers_come_late(monkeypatch):
    # Textual leaves out a timer's call that is late already when the timer starts.
    ticks = itertools.count()
    monkeypatch.setattr("textual.timer._time.get_time", lambda: time.monotonic() + next(ticks) * 0.005)
    async with window(FakeAssistant()) as w:
        for _ in range(3):
            await w.say_and_wait("hello", "a fine answer")
            await w.sees("96 tok/s")


@pytest.mark.parametrize("late", [False, True])
async def test_reasoning_is_a_line_that_unfolds_also_when_the_conversation_is_opened_again(late):
    history = History(None)
    answer = Answer(["Four."], reasoning="two and two", is_reasoning_late=late)
    async with window(FakeAssistant(answer), history=history) as w:
        await w.say_and_wait("2 + 2?", "Four.")
        await w.sees("▸ Reasoning")
        assert "two and two" not in w.text()
        await w.press("ctrl+t")
        await w.sees("▾ Reasoning", "two and two")
        number = w.session.conversation.number
    async with window(FakeAssistant(), history=history, number=number) as w:
        await w.sees("▸ Reasoning", "Four.")
        assert w.session.history_messages[1].content == "Four."


async def test_a_turn_that_is_reasoning_alone_says_so():
    async with window(
        FakeAssistant(Answer([], reasoning="hm"), Answer([], reasoning="hm", finish_reason="length"))
    ) as w:
        await w.say("stops")
        await w.sees("ended within its reasoning and gave no answer.", READY)
        assert "F7 sets" not in w.text()
        await w.say("is cut")
        await w.sees("F7 sets", READY)


async def test_a_wide_table_and_a_long_line_of_code_are_whole_in_a_narrow_window():
    answer = f"| {' | '.join('abcdef')} |\n|{'---|' * 6}\n| {' | '.join(f'{c}lphabetical' for c in 'abcdef')} |\n"
    code = f"\n```python\nprint({', '.join(f'argument_{n}' for n in range(9))})\n```\n"
    async with window(FakeAssistant(Answer([answer, code])), size=(60, 40)) as w:
        await w.say_and_wait("table", "argument_8)")
        assert "…" not in "\n".join(w.text().splitlines()[:-1])
        letters = "".join(c for c in w.text() if c.isalpha())
        for n in range(9):
            assert f"argument_{n}" in w.text()
        assert letters.count("lp") >= 6


async def test_a_long_conversation_is_drawn_by_its_end_again_once_one_goes_on():
    history = History(None)
    number = long_conversation(history, 2 * MOST_DRAWN)
    async with window(FakeAssistant(), history=history, number=number) as w:
        w.chat.mark(history.conversation(number).turns[0].id, "")
        await w.until(lambda: len(w.turns) == 2 * MOST_DRAWN)
        await w.say_and_wait("go on", "a fine answer")
        assert len(w.turns) == AT_ONCE
        await w.sees("message 239")
