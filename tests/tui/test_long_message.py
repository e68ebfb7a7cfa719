"""A long message is folded: drawn whole, a megabyte would stop the window."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import FakeAssistant
from tests.tui.window import window
from tui.widgets.message import cut_long


async def test_a_long_message_is_shown_by_its_beginning_and_unfolds():
    async with window(FakeAssistant(), size=(80, 120)) as w:
        await w.say_and_wait("\n".join(f"line {n}" for n in range(80)), "a fine answer")
        await w.sees("line 0", "line 59", "20 more lines, 159 B")
        assert "line 60" not in w.text()
        await w.press("ctrl+t")
        await w.sees("line 60", "line 79")


@given(st.text(), st.integers(0, 100), st.sampled_from(["\n", "\r\n", " "]))
def test_nothing_is_missing_from_a_long_message(text, times, joint):
    whole = joint.join([text] * times)
    shown, rest = cut_long(whole)
    assert whole in (shown + rest, f"{shown}\n{rest}")
