"""Strings that know where their characters come from: they behave as strings, and lose no source."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.engine.template import ChatTemplate
from dlp_local.engine.traced_text import OFFSET_BITS, TEMPLATE, TracedText, concat

texts = st.text("aBß \n</>,x", max_size=12)
OPERATIONS = (
    lambda t, s: t[1:],
    lambda t, s: t[::-1],
    lambda t, s: t[:-2] + s,
    lambda t, s: s + t,
    lambda t, s: t * 2,
    lambda t, s: t.strip(),
    lambda t, s: t.strip("a<"),
    lambda t, s: t.replace(s or "a", "x</"),
    lambda t, s: t.replace("", "-"),
    lambda t, s: t.replace("a", s, 1),
    lambda t, s: s.join(t),
    lambda t, s: t.join([s, t, "x"]),
    lambda t, s: "|".join(t.split()),
    lambda t, s: "|".join(t.split(s or ",", 1)),
    lambda t, s: "|".join(t.rsplit(None, 1)),
    lambda t, s: "|".join(t.rsplit(s or "x", 2)),
    lambda t, s: "|".join(t.splitlines()),
    lambda t, s: "|".join(t.splitlines(keepends=True)),
    lambda t, s: "|".join(t.partition(s or "<")),
    lambda t, s: "|".join(t.rpartition(s or "<")),
    lambda t, s: t.removeprefix("a").removesuffix("x"),
    lambda t, s: t.upper() + t.title(),
    lambda t, s: t.center(20, "-"),
    lambda t, s: t.translate({97: "bb"}),
)


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(deadline=None, max_examples=30)
@given(text=texts, other=texts)
def test_whatever_is_done_gives_the_same_text(operation, text, other):
    traced = operation(TracedText.of_message(3, text), other)
    assert traced == operation(text, other)
    for character, source in zip(traced, getattr(traced, "sources", []), strict=False):
        if source != TEMPLATE:
            assert source >> OFFSET_BITS == 3
            assert 0 <= source - (3 << OFFSET_BITS) < len(text), character


@given(st.lists(texts, max_size=4))
def test_a_character_keeps_its_source(parts):
    whole = concat(TracedText.of_message(number, part) for number, part in enumerate(parts))
    for at, character in enumerate(whole.strip() + "." + whole.replace("a", "").rstrip()):
        number, offset = divmod(character.sources[0], 1 << OFFSET_BITS)
        assert (parts[number][offset] if character.sources[0] != TEMPLATE else ".") == character, at


def test_the_very_things_that_strings_are_asked_are_answered_alike():
    traced = TracedText.of_message(0, "/x hello")
    assert traced == "/x hello"
    assert traced in {"/x hello": 1}
    assert traced.startswith("/x")
    assert "hello" in traced
    assert len(traced) == 8
    assert traced[0] == "/"
    with pytest.raises(IndexError):
        traced[8]


FILTERS = (
    "m.content|upper", "m.content|lower", "m.content|title", "m.content|capitalize", "m.content|trim",
    "m.content|replace('b', '--')", "'-b-'|replace('b', m.content)", "m.content|string", "m.content|reverse",
    "m.content|indent(2)", "m.content|tojson", "m|tojson", "m.content|e", "m.content|safe", "m.content|center(30)",
    "m.content|first", "m.content|last", "m.content|list|join", "[m.content, 'x']|join(', ')",
    "messages|join('+', 'content')", "messages|map(attribute='content')|join", "'%s!'|format(m.content)",
    "'%s!' % m.content", "'%s%d' % (m.content, 3)", "'{}!'.format(m.content)", "m.content.format()",
    "'-'.join([m.content])", "'ab'.replace('a', m.content)", "m.content ~ '!'", "m.content + '!'", "'!' + m.content",
    "m.content * 2", "m.content|default('x')", "m.content|wordwrap(5)", "'%(a)s!' % {'a': m.content}",
    "m.content|truncate(9, true)", "m.content|length", "m.content|urlencode",
    "(m.content|trim|upper).split('Q')|join('y')", "m.content|indent(2, true)", "m.content|indent(3, true, true)",
    "m.content|indent('> ', blank=true)", "m.content|wordwrap(3, false)", "m.content|striptags", "m.content|pprint",
    "m.content|list|join", "m.content.splitlines()|join(' ')", "m.content.splitlines()|map('trim')|join('+')",
    "{'a': m.content}|xmlattr", "{'a': m.content}|urlencode",
    "'%-20s'|format(m.content)", "'{:>20}'.format(m.content)", "m.content|batch(2)|map('join')|join('+')",
    "m.content[1:]", "m.content[:-1]", "m.content|urlize", "m.content.expandtabs(3)", "m.content|truncate(200)",
)  # fmt: skip


@pytest.mark.parametrize("expression", FILTERS)
@pytest.mark.parametrize("content", ["a big X</b>", "", "x", " {braces}%s\n two lines "])
def test_a_template_writes_the_same_and_what_it_wrote_of_a_message_is_known(expression, content):
    template = ChatTemplate("{% for m in messages %}<s>{{ " + expression + " }}</s>{% endfor %}")
    try:
        plain = template.render([{"role": "user", "content": content}], False)
    except Exception as error:
        with pytest.raises(type(error)):
            template.render([{"role": "user", "content": TracedText.of_message(0, content)}], False)
        return
    traced = template.render([{"role": "user", "content": TracedText.of_message(0, content)}], False)
    assert "".join(traced) == "".join(plain)
    known = {"".join(character) for character in traced if character.sources[0] != TEMPLATE}
    if len(content.strip()) > 1 and not expression.endswith("length"):
        assert known, "nothing of it is known to be the message's"
    for character in traced[3:-4]:
        if str.isupper(character) and not expression.endswith("urlencode"):
            assert character.sources[0] != TEMPLATE


@pytest.mark.parametrize("expression", FILTERS)
@settings(deadline=None, max_examples=15)
@given(content=st.text("aBß \n</>%{,x\t", max_size=12))
def test_whatever_a_template_does_it_writes_the_same_with_and_without_sources(expression, content):
    template = template_of(expression)
    plain, traced = ([{"role": "user", "content": each}] for each in (content, TracedText.of_message(0, content)))
    try:
        written = template.render(plain, False)
    except Exception as error:
        with pytest.raises(type(error)):
            template.render(traced, False)
    else:
        assert template.render(traced, False) == written


@cache
def template_of(expression):
    return ChatTemplate("{% for m in messages %}{% set c = m.content %}{{ " + expression + " }}{% endfor %}")


def test_blocks_macros_and_namespaces_keep_sources():
    template = ChatTemplate(
        "{% macro show(text) %}({{ text }}){% endmacro %}{% set ns = namespace(all='') %}"
        "{% for m in messages %}{% set ns.all = ns.all + show(m.content) %}{% endfor %}"
        "{% set block %}[{{ ns.all }}]{% endset %}{% filter upper %}{{ block }}{% endfilter %}"
    )
    written = template.render([{"role": "user", "content": TracedText.of_message(0, "ab")}], False)
    assert written == "[(AB)]"
    assert list(written.sources) == [-1, -1, 0, 1, -1, -1]
