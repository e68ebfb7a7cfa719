"""F7: what a conversation sets for itself, checked before it is taken, and kept as a persona."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.option_defaults import option_defaults
from dlp_local.core.settings import Settings
from dlp_local.history import History
from tests.support.fakes import FakeAssistant
from tests.tui.window import window
from tui.option_lines import FIELDS, ValuesInForce, parse, written
from tui.screens.options import OptionsScreen


async def opened(w):
    await w.press("f7")
    await w.until(lambda: isinstance(w.app.screen, OptionsScreen))


@pytest.mark.asyncio
async def test_what_is_written_goes_with_the_next_message():
    fake = FakeAssistant()
    async with window(fake) as w:
        await opened(w)
        w.app.screen.query_one("#temperature").value = "0.5"
        w.app.screen.query_one("#pinned").value = "sql=0.5"
        await w.press("ctrl+s")
        await w.sees("pinned sql 0.50")
        await w.say_and_wait("hello", "a fine answer")
        assert fake.calls[0].options == ChatOptions(temperature=0.5, pinned={"sql": 0.5})


@pytest.mark.asyncio
async def test_a_value_that_cannot_be_is_told_and_nothing_changes():
    async with window(FakeAssistant()) as w:
        await opened(w)
        w.app.screen.query_one("#temperature").value = "hot"
        w.app.screen.query_one("#top_p").value = "2"
        await w.press("enter")
        await w.sees("temperature:", "top_p:")
        await w.press("escape")
        assert w.session.conversation.options == ChatOptions()


@pytest.mark.asyncio
async def test_a_named_persona_begins_another_conversation():
    history = History(None)
    fake = FakeAssistant()
    async with window(fake, history=history) as w:
        await opened(w)
        w.app.screen.query_one("#persona").value = "terse"
        w.app.screen.query_one("#system").value = "Be brief."
        await w.press("enter")
        await w.sees("Kept as the persona 'terse'")
        await w.press("ctrl+n")
        await w.until(lambda: w.session.conversation.options == ChatOptions())
        await w.say("/new terse")
        await w.say_and_wait("hello", "a fine answer")
        assert fake.calls[0].options.system == "Be brief."
        await w.say("/new nobody")
        await w.sees("there is no persona 'nobody'")


@pytest.mark.asyncio
async def test_it_fits_a_small_terminal():
    async with window(FakeAssistant(), size=(80, 24)) as w:
        await opened(w)
        panel = w.app.screen.query_one("#options")
        assert panel.region.right <= 80
        assert panel.region.bottom <= 24


def line(w, label):
    """What stands in the line of an option."""
    return next(each for each in w.text().splitlines() if label in each).split(label)[1].strip(" │")


@pytest.mark.asyncio
async def test_it_shows_what_holds_for_the_next_message_and_where_it_comes_from():
    history = History(None)
    history.set_persona("terse", ChatOptions(system="In one word.", temperature=0.5))
    async with window(FakeAssistant(), history=history) as w:
        await opened(w)
        assert line(w, "Temperature").split() == ["0,", "base", "0.7", "default"]
        assert line(w, "Top-k").split() == ["20", "settings"]
        assert line(w, "Stops").split() == ['"###"', "pack"]
        assert line(w, "System prompt").split() == ["Be", "brief.", "settings"]
        assert line(w, "Longest answer").split() == ["until", "the", "context", "is", "full", "default"]
        await w.press("escape")
        await w.say("/new terse")
        await w.until(lambda: w.session.conversation.options.persona)
        await opened(w)
        assert line(w, "Temperature").split() == ["0.5", "persona"]
        assert line(w, "System prompt").split() == ["In", "one", "word.", "persona"]
        w.app.screen.query_one("#temperature").value = "0.25"
        await w.until(lambda: line(w, "Temperature").split() == ["0.25", "here"])
        w.app.screen.query_one("#temperature").focus()
        await w.sees("0 always takes the most probable token (0 to 5).")


@pytest.mark.parametrize(
    ("pinned", "shown"), [(None, "0, base 0.7"), ({}, "0.7"), ({"sql": 0.25}, "0.7"), ({"sql": 1.0}, "0")]
)
def test_a_pinned_mix_decides_whose_defaults_hold(pinned, shown):
    values = ValuesInForce(ChatOptions(pinned=pinned), option_defaults(Settings()))
    assert values.default("temperature") == shown


def test_the_lines_say_what_holds_before_a_pack_is_loaded():
    lines = ValuesInForce(ChatOptions(temperature=0.5), {}).lines()
    assert "Temperature: 0.5 (here)" in lines
    assert "Pinned mix: none: the router chooses" in lines


numbers = st.floats(0.125, 1, width=16)
names = st.from_regex("[a-z]{1,8}", fullmatch=True)


@given(
    st.builds(
        ChatOptions,
        system=st.none() | names,
        temperature=st.none() | numbers,
        top_p=st.none() | numbers,
        seed=st.none() | st.integers(0, 2**31),
        scope=st.sampled_from([None, "turn", "context"]),
        pinned=st.sampled_from([None, {}, {"sql": 0.5}, {"sql": 0.25, "shell": 0.5}]),
        split=st.sampled_from([None, True, False]),
        vetoed=st.lists(names, unique=True, max_size=3).map(tuple),
    )
)
def test_the_form_gives_back_what_it_was_shown(options):
    assert parse({name: written(options, name) for name in FIELDS}) == options


def test_what_is_switched_is_written_as_one_says_it():
    assert written(ChatOptions(split=True), "split") == "on"
    assert parse({"split": "off"}) == ChatOptions(split=False)
