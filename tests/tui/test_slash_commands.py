"""Slash commands: each does what it says, and is completed while it is written."""

import re
import sqlite3
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.core.values import Mix
from dlp_local.history import History
from tests.support.fakes import Answer, FakeAssistant, Gate
from tests.tui.window import READY, window
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
        await w.sees("there is no message yet")
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
            await w.sees("there is no message yet")
            await w.say("/save")
            await w.sees("give the persona a name")
            await w.until(lambda: "there is no message" not in w.text())
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
        await w.sees("pinned sql 0.72 shell 0.22")
        await w.say("/mix auto")
        await w.until(lambda: w.session.conversation.options.mix is None)
        await w.say("/theme nonsense")
        await w.sees("there is no theme 'nonsense'")


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
        await w.sees("there is no command /serach. Did you mean '/search'")
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


@pytest.mark.asyncio
async def test_pin_after_an_answer_in_parts_says_how_one_of_its_mixes_is_pinned():
    parts = [("list the files", "shell", "ls"), ("play jazz", "banking", "No."), ("and more", "shell", "ls -a")]
    mixed = Answer(mix=Mix.of({"sql": 0.5625, "shell": 0.4375}), parts=parts)
    async with window(FakeAssistant(mixed), size=(160, 40)) as w:
        await w.say_and_wait("list the files and play jazz", "ls -a")
        await w.say("/pin")
        await w.sees("3 parts", "/mix shell,", "/mix banking;")
        assert w.session.conversation.options.mix is None
        w.prompt.fill("")
        await w.press("f4")
        await w.sees("part 1 of 3")
        await w.press("right", "p")
        await w.until(lambda: w.session.conversation.options.mix == Mix.of({"banking": 1.0}))


@given(st.dictionaries(st.sampled_from(["sql", "shell", "dates", "banking"]), st.integers(1, 8)))
def test_a_mix_is_written_so_that_the_command_takes_it_as_it_is(steps):
    mix = Mix.of({name: count / 32 for name, count in steps.items()})
    assert Mix.parse(mix.spelled) == mix
    assert Mix.parse(mix.spelled.removesuffix("=1")) == mix


@pytest.mark.asyncio
async def test_a_title_of_ones_own_is_not_lost_by_a_command_without_one():
    async with window(FakeAssistant(), size=(120, 40)) as w:
        await w.say_and_wait("question", "a fine answer")
        await w.say("/rename Travel plans")
        await w.sees("Renamed.")
        await w.say("/rename")
        await w.sees("say which title")
        assert [info.title for info in w.session.history.conversations()] == ["Travel plans"]
        w.prompt.fill("")
        await w.say('/rename ""')
        await w.sees("Titled by its first message again.")
        assert [info.title for info in w.session.history.conversations()] == ["question"]


def test_a_command_with_a_name_too_long_for_a_file_is_told_as_unknown():
    with pytest.raises(InputError, match="there is no command"):
        check_known("/" + "x" * 300)


@given(st.sampled_from(COMMANDS), st.sampled_from([" ", "\n", "\t", "  ", " \n "]), st.text())
def test_any_white_space_ends_the_name_of_a_command(command, space, argument):
    argument = argument.strip()
    known = [each.name for each in COMMANDS]
    read = parse(f"/{command.name}{space}{argument}")
    longer = f"{command.name} {(argument.split() or [''])[0]}"
    assert read == (command, argument) or longer in known


@pytest.mark.asyncio
async def test_a_system_prompt_may_begin_in_the_next_line():
    async with window(FakeAssistant()) as w:
        await w.say("/system\nBe brief.\nBe kind.")
        await w.sees("System prompt set.")
        assert w.session.conversation.options.system == "Be brief.\nBe kind."


@pytest.mark.asyncio
async def test_stop_says_where_there_is_nothing_to_stop():
    async with window(FakeAssistant()) as w:
        await w.say("/stop")
        await w.sees("no answer is being written")


@pytest.mark.parametrize(("typed", "way"), [("/compare", "F4, then S"), ("/correct", "F4, then W"), ("/delete", "F8")])
def test_what_only_a_key_does_is_named_where_a_command_is_tried_for_it(typed, way):
    with pytest.raises(InputError, match=way):
        check_known(typed)
