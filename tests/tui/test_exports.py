"""Conversations that are exported from the window, and imported."""

import json

import pytest

from dlp_local.history import History
from dlp_local.history.imports import conversations_from_json, read_conversations
from tests.support.fakes import Answer, FakeAssistant
from tests.tui.window import window


@pytest.mark.asyncio
async def test_a_conversation_is_exported_and_never_over_a_file(tmp_path):
    file = tmp_path / "talk.json"
    async with window(FakeAssistant(Answer(["one"])), size=(160, 40)) as w:
        await w.say(f"/export {file}")
        await w.sees("there is no message yet")
        await w.say_and_wait("question", "one")
        await w.say(f"/export {file}")
        await w.sees("Written to")
        ((turn,),) = (talk.turns for talk in conversations_from_json(file.read_text("utf-8")))
        assert (turn.text, turn.answer) == ("question", "one")
        await w.say(f"/export {file}")
        await w.sees("is there already")
        await w.say(f"/export {tmp_path}/talk.pdf")
        await w.sees("is no format to export to")
        assert json.loads(file.read_text("utf-8"))["turns"]


@pytest.mark.asyncio
async def test_where_the_disk_is_full_the_chat_goes_on_unsaved_and_all_of_it_can_still_be_exported(tmp_path):
    history = History(tmp_path / "history.db")
    async with window(FakeAssistant(Answer(["one"]), Answer(["two"])), history=history, size=(160, 40)) as w:
        await w.say_and_wait("first", "one")
        (pages,) = history._database.execute("PRAGMA page_count").fetchone()
        history._database.execute(f"PRAGMA max_page_count = {pages}")
        await w.say("second " * 3_000)
        await w.sees("history cannot be used", "two", "· ready · not saved")
        await w.say(f"/export {tmp_path}/talk.json")
        await w.sees("Written to")
    (exported,) = read_conversations(tmp_path / "talk.json")
    assert [turn.answer for turn in exported.path()] == ["one", "two"]
    assert exported.info.title == "first"


@pytest.mark.asyncio
async def test_an_exported_conversation_is_imported_and_opened(tmp_path):
    file = tmp_path / "my talk.json"
    history = History(None)
    async with window(FakeAssistant(Answer(["one"])), history=history, size=(160, 40)) as w:
        await w.say_and_wait("question", "one")
        await w.say(f'/export "{file}"')
        await w.sees("Written to")
        await w.press("ctrl+n")
        await w.until(lambda: "question" not in w.text())
        await w.say(f"/import {file}")
        await w.sees("question", "one", "sql 0.72", "Imported: question.")
        first, second = (history.conversation(info.id) for info in reversed(history.conversations()))
        assert [turn.done for turn in first.turns] == [turn.done for turn in second.turns]
        assert w.session.conversation.number == second.info.id


@pytest.mark.asyncio
async def test_what_is_no_exported_conversation_is_told_and_nothing_is_stored(tmp_path):
    (tmp_path / "list.json").write_text("[1]", "utf-8")
    (tmp_path / "bytes.json").write_bytes(b"\xff")
    history = History(None)
    async with window(FakeAssistant(), history=history, size=(160, 40)) as w:
        for argument, told in (
            ("", "name a file that was exported"),
            (tmp_path / "none.json", "cannot be read"),
            (tmp_path, "cannot be read"),
            (tmp_path / "list.json", "ChatGPT's"),
            (tmp_path / "bytes.json", "is not UTF-8"),
        ):
            await w.say(f"/import {argument}")
            await w.sees(told)
            w.app.clear_notifications()
            await w.until(lambda told=told: told not in w.text())
        assert history.conversations() == []
