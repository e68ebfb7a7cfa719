"""F8: an answer is written as it should have been, and kept as a lesson for the adapter that gave it."""

import pytest

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.values import Message, Mix
from dlp_local.history import History
from tests.support.fakes import Answer, FakeAssistant, Gate
from tests.tui.window import window
from tui.screens.teach import TeachScreen
from tui.session import Session
from tui.views.plain import PlainView

BASE_ANSWER = Answer(["nobody ", "knows"], mix=Mix())


async def opened(w):
    await w.press("f8")
    await w.until(lambda: isinstance(w.app.screen, TeachScreen))
    return w.app.screen


def answer(screen, part=0):
    return screen.query_one(f"#answer-{part}")


@pytest.mark.asyncio
async def test_a_mended_answer_is_a_lesson_for_the_adapter_with_the_most_weight():
    async with window(FakeAssistant(Answer(["one"]), Answer(["two"])), size=(120, 40)) as w:
        await w.say_and_wait("first", "one")
        await w.say_and_wait("second", "two")
        screen = await opened(w)
        await w.sees("What the answer should have been", "second", "two", "sql")
        await w.type(" or three")
        assert answer(screen).text == "two or three"
        await w.press("ctrl+s")
        await w.sees("Kept as 1 lesson for sql. /train sql learns it.")
        (lesson,) = w.session.history.lessons()
        assert (lesson.adapter, lesson.pack, lesson.wrong, lesson.right) == ("sql", "bundled", "two", "two or three")
        assert lesson.messages == (Message("user", "first"), Message("assistant", "one"), Message("user", "second"))
        assert w.session.turn(w.session.conversation.tip).answer == "two"


@pytest.mark.asyncio
async def test_the_marked_answer_is_the_one_that_is_mended():
    async with window(FakeAssistant(Answer(["one"]), Answer(["two"]))) as w:
        await w.say_and_wait("first", "one")
        await w.say_and_wait("second", "two")
        await w.press("ctrl+up", "ctrl+up")
        assert answer(await opened(w)).text == "one"


@pytest.mark.asyncio
async def test_the_system_prompt_of_the_conversation_goes_along():
    async with window(FakeAssistant(Answer(["one"]))) as w:
        w.session.set_options(ChatOptions(system="Be exact."))
        await w.say_and_wait("question", "one")
        (lesson,) = w.session.lessons(w.session.conversation.tip)
        assert lesson.messages == (Message("system", "Be exact."), Message("user", "question"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("one", "the answer is as it was"),
        (" one\n", "the answer is as it was"),
        (" ", "cannot learn to answer nothing"),
    ],
)
@pytest.mark.asyncio
async def test_what_is_no_lesson_is_told_and_stays_written(text, told):
    async with window(FakeAssistant(Answer(["one"]))) as w:
        await w.say_and_wait("question", "one")
        screen = await opened(w)
        answer(screen).text = text
        await w.press("ctrl+s")
        await w.sees(told)
        assert answer(screen).text == text
        await w.press("escape")
        await w.until(lambda: w.app.screen is w.chat)
        assert w.session.history.lessons() == []


@pytest.mark.asyncio
async def test_where_base_answered_the_adapter_is_asked_for_and_may_be_a_new_one():
    async with window(FakeAssistant(BASE_ANSWER), size=(100, 40)) as w:
        await w.say_and_wait("question", "nobody knows")
        screen = await opened(w)
        answer(screen).text = "somebody does"
        await w.press("ctrl+s")
        await w.sees("base answered this. Say which adapter is to learn it")
        await w.press("tab")
        for wrong, told in (("base", "is what no adapter at all is called"), ("My own", "is no name")):
            screen.query_one("#adapter-0").value = wrong
            await w.press("enter")
            await w.sees(told)
        screen.query_one("#adapter-0").value = " knowing "
        await w.press("enter")
        await w.sees("Kept as 1 lesson for knowing")
        assert [lesson.adapter for lesson in w.session.history.lessons()] == ["knowing"]


@pytest.mark.asyncio
async def test_each_part_of_an_answer_is_mended_for_its_own_adapter():
    parts = [("tar: extract a.tar", "shell", "tar xf"), ("count the cats", "sql", "SELECT 1")]
    async with window(FakeAssistant(Answer(parts=parts)), size=(100, 50)) as w:
        await w.say_and_wait("tar: extract a.tar, then count the cats", "SELECT 1")
        screen = await opened(w)
        await w.sees("tar: extract a.tar", "count the cats")
        assert [answer(screen, part).text for part in (0, 1)] == ["tar xf", "SELECT 1"]
        answer(screen, 1).text = "SELECT 2"
        await w.press("ctrl+s")
        await w.sees("Kept as 1 lesson for sql")
        (lesson,) = w.session.history.lessons()
        assert (lesson.messages, lesson.right) == ((Message("user", "count the cats"),), "SELECT 2")


@pytest.mark.asyncio
async def test_an_answer_that_is_still_written_cannot_be_mended():
    gate = Gate()
    async with window(FakeAssistant(Answer(["one"], gate=gate))) as w:
        await w.say("question")
        await w.until(lambda: w.session.busy)
        await w.press("f8")
        await w.sees("still being written")
        gate.open()


@pytest.mark.asyncio
async def test_an_answer_that_failed_can_be_written():
    async with window(FakeAssistant(Answer(["one"], error=RuntimeError("broken")))) as w:
        await w.say("question")
        await w.sees("broken")
        (lesson,) = w.session.lessons(w.session.conversation.tip)
        assert (lesson.adapter, lesson.wrong, lesson.messages[-1].content) == ("", "", "question")


@pytest.mark.parametrize(
    ("lines", "stored"),
    [
        (["/teach", "better"], [("sql", "better")]),
        (["/teach", ""], []),
        (["/teach"], []),
    ],
)
def test_the_plain_chat_asks_for_the_answer_on_a_line(lines, stored, monkeypatch, capsys):
    typed = iter(["question", *lines])

    def read(_):
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("tui.views.plain.read_line", read)
    session = Session(lambda _: FakeAssistant(Answer(["wrong"])), History(None))
    try:
        assert PlainView(session).run() == 0
        assert [(lesson.adapter, lesson.right) for lesson in session.history.lessons()] == stored
    finally:
        session.close()
    said = capsys.readouterr().out
    assert "The answer was: wrong" in said
    assert ("Kept as 1 lesson for sql" in said) == bool(stored)
