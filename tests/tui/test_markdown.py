"""Answers are shown exactly; Markdown only where there is Markdown; nothing reaches the terminal as a command."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Markdown

from dlp_local.core.text import visible
from tests.support.fakes import Answer, FakeAssistant
from tests.tui.window import READY, window
from tui.structure import has_structure
from tui.widgets.answer import Answer as Answered
from tui.widgets.transcript import Transcript

EXACT = [
    "tar -xzf *.txt *.log",
    "SELECT a * b, c*d*e\n  FROM t\n WHERE x_1 = '__init__'",
    "path/to/__init__.py and __main__",
    '{"intent": "book",\n "people": 4}',
    "[bold]not bold[/bold] [link=x]y[/] [@click=app.quit]z[/]",
    "<b>tag</b> &amp; \\* `date` ~~x~~ [a](b)",
    "# a comment\nls | sort  >  out\n- dash\n* star\n1. one",
    "ls **/*.py **/*.txt",
    "f(*args, **kwargs), g(**kwargs)",
    "2**3**4 + a ** b ** c",
    "--flag | --other\n----\n[ref]: http://x",
    "- name: x\n- name: y",
    "list:\n- a\n- b",
    "# Install\nmake",
    "SELECT `a` FROM `t`",
    "> SELECT 1",
    "-- A comment\n-- Another",
]

MARKDOWN = """\
See path/to/__init__.py, a*b*c and
<b>this</b> &amp; that:

| name | size |
|------|------|
| a.txt | 12 |

## Heading

1. **First** thing
2. second

```sql
SELECT a * b
FROM __init__
```

The end [x](y)."""


@pytest.mark.parametrize("text", EXACT)
def test_commands_queries_and_json_are_not_taken_for_markdown(text):
    assert not has_structure(text)


@pytest.mark.parametrize(
    "text",
    [
        *("```\nx\n```", "a\n\n## b", "# Title\n\nText", "| a | b |\n|---|---|"),
        *("use **this** one", "1. **One**: x", "a **b c**, d", "It is **done**.", "(**really**)", "**Note:** x"),
        *("- First thing\n- Second thing", "* Alpha\n* Beta", "1. First\n2. Second", "Steps:\n1. do it\n2. again"),
        *("There are two:\n\n- one\n- two", "> To be or not", "Use `ls -l` to list.", "- Run `make`."),
    ],
)
def test_block_structure_and_strong_words_are_markdown(text):
    assert has_structure(text)


@given(st.text())
def test_nothing_that_a_terminal_obeys_remains(text):
    shown = visible(text)
    assert not any((c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f" for c in shown)
    shown.encode()


@pytest.mark.asyncio
@pytest.mark.parametrize("text", EXACT)
async def test_every_character_of_an_answer_and_of_a_message_is_shown(text):
    async with window(FakeAssistant(Answer(list(text))), size=(100, 50)) as w:
        await w.say(text)
        await w.sees("tok/s", READY)
        await w.until(lambda: all(w.text().count(line) == 2 for line in text.splitlines()))


@pytest.mark.asyncio
async def test_escape_sequences_are_shown_and_not_obeyed():
    async with window(FakeAssistant(Answer(["\x1b[2J\x1b]0;pwned\x07", "\x9b31m red\u202e"]))) as w:
        w.prompt.text = "a\x1b[31mb"
        await w.press("enter")
        await w.sees("a␛[31mb", "␛[2J␛]0;pwned␇\ufffd31m red\ufffd", READY)
        strips = w.app.screen._compositor.render_strips()
        assert not any(c in segment.text for strip in strips for segment in strip for c in "\x1b\x07\x9b\u202e")


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [1, 7, 10_000], ids=["by character", "by sevens", "at once"])
async def test_markdown_looks_the_same_however_it_streams(size):
    async with window(FakeAssistant(), size=(100, 60)) as w:
        answer = Answered()
        await w.app.screen.query_one(Transcript).mount(answer)
        answer.display = True
        for end in range(size, len(MARKDOWN) + size, size):
            await answer.show(MARKDOWN[:end])
        await w.sees("The end [x](y).")
        assert w.app.screen.query(Markdown)
        text = w.text()
        for exact in ("path/to/__init__.py, a*b*c and\n", "<b>this</b> &amp; that:", "SELECT a * b", "FROM __init__"):
            assert exact in text
        for gone in ("**", "```", "|---", "##"):
            assert gone not in text
        order = ["See path", "name", "a.txt", "Heading", "1. First thing", "2. second", "SELECT", "The end"]
        assert [text.count(part) for part in order] == [1] * len(order)
        places = [text.index(part) for part in order]
        assert places == sorted(places)


@pytest.mark.asyncio
async def test_history_has_the_raw_text_of_a_markdown_answer():
    fake = FakeAssistant(Answer([MARKDOWN]), Answer(["next"]))
    async with window(fake, size=(100, 60)) as w:
        await w.say_and_wait("show", "The end")
        await w.say_and_wait("again", "next")
        assert fake.calls[1].history[1].content == MARKDOWN


@pytest.mark.parametrize("line", ["Steps " * 20_000, "Word " * 20_000 + "`", "A " + "[ (" * 30_000])
def test_a_very_long_line_is_looked_at_once(line):
    begin = time.perf_counter()
    assert not has_structure(line)
    assert time.perf_counter() - begin < 0.5
