"""Slash commands: each does what it says, and is completed while it is written."""

import json
import re
import sqlite3
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.core.user_message import UserMessage
from dlp_local.core.values import Mix
from dlp_local.history import History
from dlp_local.history.imports import conversations_from_json, read_conversations
from tests.support.fakes import Answer, FakeAssistant, Gate
from tests.tui.window import READY, window
from tui.attachments import attach, sizes
from tui.chat_commands import COMMANDS, NAMED_OTHERWISE, check_known, parse


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_and_is_read_with_its_argument(command):
    assert command.help
    assert parse(f"/{command.name} x") == (command, "x")


@given(st.text())
def test_a_message_that_begins_like_no_command_is_a_message(text):
    found = parse(f"/{text}")
    assert found is None or found[0] in COMMANDS


@pytest.mark.asyncio
async def test_what_can_follow_is_shown_while_one_writes_and_tab_completes():
    async with window(FakeAssistant()) as w:
        await w.type("/re")
        await w.sees("/rename title", "/retry [mix]")
        await w.type("t")
        await w.press("tab")
        assert w.prompt.text == "/retry "


@pytest.mark.asyncio
async def test_a_path_that_begins_with_a_slash_is_a_message():
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.say_and_wait("/tmp is full", "a fine answer")
        assert fake.calls[0].text == "/tmp is full"


@pytest.mark.asyncio
async def test_split_says_whether_several_tasks_are_answered_in_parts():
    async with window(FakeAssistant()) as w:
        for choice, expected in [("on", True), ("off", False), ("auto", None)]:
            await w.say(f"/split {choice}")
            await w.sees(f"Split: {choice}.")
            assert w.session.conversation.options.split is expected
        await w.say("/split maybe")
        await w.sees("say which: /split on")


@pytest.mark.asyncio
async def test_retry_takes_a_mix_and_refuses_an_unknown_adapter():
    fake = FakeAssistant(Answer(["one"]), Answer(["again"]))
    async with window(fake) as w:
        await w.say("/retry")
        await w.sees("There is no message yet")
        await w.say_and_wait("question", "one")
        await w.say("/retry squeal=1")
        await w.sees("there is no adapter 'squeal'")
        await w.say("/retry base")
        await w.sees("again", "‹ 2/2 ›", READY)
        assert fake.calls[1].mix == Mix()


@pytest.mark.asyncio
async def test_what_is_told_takes_the_place_of_what_was_told_before_and_leaves_the_prompt_free():
    async with window(FakeAssistant(), size=(80, 24)) as w:
        for _ in range(9):
            await w.say("/stats")
            await w.sees("There is no message yet")
            await w.say("/save")
            await w.sees("give the persona a name")
            await w.until(lambda: "There is no message" not in w.text())
        (toast,) = w.app.screen.query("Toast")
        assert toast.region.bottom < w.prompt.region.y / 2


@pytest.mark.asyncio
async def test_undo_gives_the_message_back():
    async with window(FakeAssistant(Answer(["one"]))) as w:
        await w.say_and_wait("question", "one")
        await w.say("/undo")
        await w.until(lambda: w.prompt.text == "question")
        assert w.session.view().turns == ()


@pytest.mark.asyncio
async def test_the_answer_and_its_last_code_block_are_copied():
    answer = "See:\n\n```sh\nls\n```\n\nor\n\n```sh\ntar xf a.tar\n```\n"
    async with window(FakeAssistant(Answer([answer]))) as w:
        await w.say_and_wait("question", "tar xf a.tar")
        await w.press("f6")
        await w.until(lambda: w.app.clipboard == answer)
        await w.say("/copy code")
        await w.until(lambda: w.app.clipboard == "tar xf a.tar")


@pytest.mark.asyncio
async def test_a_conversation_is_exported_and_never_over_a_file(tmp_path):
    file = tmp_path / "talk.json"
    async with window(FakeAssistant(Answer(["one"])), size=(160, 40)) as w:
        await w.say(f"/export {file}")
        await w.sees("There is no message yet")
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


@pytest.mark.asyncio
async def test_what_needs_an_idle_window_is_refused_while_an_answer_is_written():
    gate = Gate()
    async with window(FakeAssistant(Answer(["one"], gate=gate))) as w:
        await w.say("question")
        await w.until(lambda: w.session.busy)
        for command in ("/retry", "/edit", "/undo", "/continue"):
            await w.say(command)
            await w.sees("an answer is being written")
            w.app.clear_notifications()
            await w.until(lambda: "is being written" not in w.text())
        gate.open()
        await w.sees("one", READY)


@pytest.mark.asyncio
async def test_small_commands_tell_what_they_are_asked():
    async with window(FakeAssistant(Answer(["one"])), size=(120, 40)) as w:
        await w.say("/pack")
        await w.sees("bundled: 6 adapters, context 1024 tokens")
        await w.say("/mix")
        await w.sees("The router chooses")
        await w.say_and_wait("question", "one")
        await w.say("/stats")
        await w.sees("1 answer,")
        await w.say("/pin")
        await w.sees("pinned shell 0.22 sql 0.72")
        await w.say("/mix auto")
        await w.until(lambda: w.session.conversation.options.mix is None)
        await w.say("/theme nonsense")
        await w.sees("there is no theme 'nonsense'")


@pytest.mark.asyncio
async def test_a_file_goes_along_with_its_size_shown_and_too_large_a_one_is_refused(tmp_path):
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_text("the contents\n", "utf-8")
    large.write_text("x" * 100_000, "utf-8")
    fake = FakeAssistant()
    async with window(fake, size=(160, 40)) as w:
        w.prompt.fill(f"explain @{small}")
        await w.sees("small.txt 13 B")
        await w.press("enter")
        await w.sees("a fine answer", READY)
        assert fake.calls[0].text == f"explain @{small}\n\nsmall.txt:\n```\nthe contents\n```"
        await w.say(f"explain @{large}")
        await w.sees("100 kB, and about")
        assert w.prompt.text == f"explain @{large}"


@pytest.mark.asyncio
async def test_search_finds_what_was_said_and_opens_it():
    history = History(None)
    async with window(FakeAssistant(Answer(["about cats"]), Answer(["about dogs"])), history=history) as w:
        await w.say_and_wait("first", "about cats")
        await w.press("ctrl+n")
        await w.say_and_wait("second", "about dogs")
        await w.say("/search cats")
        await w.sees("1 found", "about cats")
        await w.press("enter")
        await w.sees("first", "about cats", READY)
        assert "about dogs" not in w.text()


@pytest.mark.asyncio
async def test_a_mistyped_command_is_not_sent_but_answered_with_the_nearest_and_stays_written():
    fake = FakeAssistant()
    async with window(fake, size=(120, 40)) as w:
        await w.say("/serach cats")
        await w.sees("there is no command /serach. Did you mean '/search'?")
        assert w.prompt.text == "/serach cats"
        await w.say(" /serach cats")
        await w.sees("a fine answer")
        assert [call.text for call in fake.calls] == ["/serach cats"]


@pytest.mark.parametrize("text", ["/etc/hosts has what?", "/ is the root", "//", "/1", "/", "hello /serach"])
def test_what_can_be_no_command_is_a_message(text):
    check_known(text)


def test_a_path_that_is_there_is_a_message(tmp_path, monkeypatch):
    monkeypatch.setattr("tui.chat_commands.Path", lambda path: tmp_path / path.lstrip("/"))
    (tmp_path / "serach").mkdir()
    check_known("/serach is full")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("@./missing.txt what does it say?", "missing.txt: is not there"),
        ("what does @missing.txt say?", "missing.txt: is not there"),
        ('what does "x" in @"my talk" say?', "my talk: is not there"),
        ("list @notes/ please", "notes: is a folder"),
        ("list @notes, please", "notes: is a folder"),
        ("@picture.png?", "picture.png: is not UTF-8"),
    ],
)
async def test_a_file_that_cannot_go_along_is_told_before_anything_is_sent(message, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.say(message)
        await w.sees(problem)
        assert w.prompt.text == message
        assert fake.calls == []
        assert w.session.history.conversations() == []


@pytest.mark.parametrize("text", ["ask @alice", "@alice, are you there?", "write to ana@notes.txt", "5 @ 3.50"])
def test_a_name_after_an_at_sign_is_text(text):
    assert attach(text, 1000) == text


@pytest.mark.asyncio
async def test_an_attached_file_is_one_line_that_unfolds(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("first line\nsecond line\n", "utf-8")
    async with window(FakeAssistant(), size=(160, 40)) as w:
        await w.say_and_wait(f"explain @{file}", "a fine answer")
        await w.sees("▸ notes.txt 22 B")
        assert "second line" not in w.text()
        await w.press("ctrl+t")
        await w.sees("▾ notes.txt 22 B", "first line", "second line")
        await w.press("ctrl+t")
        await w.until(lambda: "second line" not in w.text())
        await w.press("f2")
        await w.until(lambda: w.prompt.text == f"explain @{file}")


@given(st.text(alphabet="a`\n: ", max_size=30), st.text(alphabet="b`\n: ", min_size=1, max_size=30))
def test_what_went_along_is_told_apart_from_what_was_written(tmp_path_factory, request_text, contents):
    file = tmp_path_factory.mktemp("attached") / "f.txt"
    file.write_text(contents, "utf-8", newline="")
    message = UserMessage.parse(attach(f"{request_text}x @{file}", 100_000), files_only=True)
    assert message.request == f"{request_text}x @{file}"
    assert [(each.name, each.text) for each in message.attachments] == [("f.txt", contents.rstrip())]


@pytest.mark.asyncio
async def test_an_adapter_is_never_both_pinned_and_vetoed():
    async with window(FakeAssistant(), size=(120, 40)) as w:
        await w.say("/mix sql=0.5,dates=0.25")
        await w.until(lambda: w.session.conversation.options.pinned)
        await w.say("/veto sql")
        await w.sees("Vetoed sql; the pinned mix had it")
        assert (w.session.conversation.options.pinned, w.session.conversation.options.vetoed) == (None, ("sql",))
        await w.say("/mix sql")
        await w.sees("sql may be chosen again")
        assert (w.session.conversation.options.pinned, w.session.conversation.options.vetoed) == ({"sql": 1.0}, ())


@pytest.mark.asyncio
async def test_what_is_written_is_seen_while_the_history_is_locked_by_another_program(tmp_path):
    history = History(tmp_path / "history.db")
    other = sqlite3.connect(tmp_path / "history.db", isolation_level=None, check_same_thread=False)
    async with window(FakeAssistant(Answer(["one"]), Answer(["two"])), history=history) as w:
        await w.say_and_wait("first", "one")
        other.execute("BEGIN EXCLUSIVE")
        await w.say("/pin")
        await w.press("f4")
        await w.say("second")
        before = time.monotonic()
        await w.type("still writing")
        await w.sees("still writing")
        assert time.monotonic() - before < 5
        assert "two" not in w.text()
        other.execute("ROLLBACK")
        await w.until(lambda: w.app.screen is not w.chat)
        await w.press("escape")
        await w.sees("two", READY)
    other.close()
    history.close()


@pytest.mark.parametrize(
    ("text", "helps"),
    [("/persona terse", "/save"), ("/unpin", "/mix auto"), ("/temperature 0", "/temp'"), ("/exit", "/quit")],
)
def test_a_command_that_is_called_otherwise_is_answered_with_what_does_it(text, helps):
    with pytest.raises(InputError, match=helps):
        check_known(text)


def test_what_other_names_stand_for_are_commands():
    for name, does_it in NAMED_OTHERWISE.items():
        assert not parse(f"/{name}")
        assert all(parse(command) for command in re.findall(r"/[a-z]+", does_it))


def test_the_frame_tells_a_folder_from_a_file(tmp_path):
    assert sizes(f"@{tmp_path}") == f"{tmp_path}: is a folder"
    assert sizes(f"@{tmp_path}/none.txt") == f"{tmp_path}/none.txt: no file"


@pytest.mark.asyncio
async def test_a_mix_is_checked_against_the_loaded_pack_also_where_it_has_no_adapters():
    gate = threading.Event()

    def open_assistant():
        gate.wait(30)
        fake = FakeAssistant()
        fake.adapters = ()
        return fake

    async with window(open_assistant, ready=False) as w:
        await w.say("/mix sql=1")
        await w.sees("still being loaded")
        gate.set()
        await w.sees(READY)
        await w.say("/mix sql=1")
        await w.sees("there is no adapter 'sql'")
        assert w.session.conversation.options.pinned is None
        await w.say("/mix base")
        await w.sees("Pinned: base")
