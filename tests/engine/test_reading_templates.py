"""Templates that read contents: the prompt is what they make of the very contents, and these stay text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.errors import EngineError
from dlp_local.core.values import Message
from dlp_local.engine.prompt import PromptBuilder
from dlp_local.engine.template import ChatTemplate
from tests.support.characters import Characters

VOCABULARY = Characters()
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% set c = m.content %}BODY<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONDITIONS = (
    "c.startswith('/x')", "c.endswith('?')", "c == ''", "c == 'one'", "c != c.strip()", "c|length > 5",
    "'tools' in c", "c not in ['one', 'two']", "c[0] == '<'", "c[:2] == '/x'", "c.split('</think>')|length > 1",
    "c.find('a') >= 0", "c|upper == c", "c.split()|first == 'hi'", "c is string", "c|trim|last == '!'", "c < 'm'",
    "c.count('e') > 1", "c.isdigit()", "c|wordcount > 2", "c.lower() in 'hi there'",
)  # fmt: skip
BODIES = tuple(
    f"{{% if {condition} %}}(yes){{{{ c }}}}{{% else %}}(no){{{{ c }}}}{{% endif %}}" for condition in CONDITIONS
)
WRITERS = (
    "{{ c.split('</think>')[-1] }}", "{{ c|trim }}", "{{ c|upper }}", "{{ c.replace('/no_think', '').rstrip() }}",
    "{{ c.split('</think>')[-1].lstrip('\\n') if '</think>' in c else c }}", "{{ '(%s)' % c }}",
    "{{ c|replace('tools', 'x') }}", "{{ c.removeprefix('/x') }}", "{{ c[2:] if c.startswith('/x') else c }}",
    "{{ (c ~ '!')|tojson }}", "{{ c.split()|join(' ') }}",
    "{% for line in c.splitlines() %}> {{ line }}\n{% endfor %}", "{{ c.rpartition('</think>')[2] }}",
)  # fmt: skip
CONTENTS = (
    "", "one", "/x do it", "what?", "why</think>because", "<think>\nhm\n</think>\n\nbecause", "we have tools here",
    "hi there!", "  spaces around \n", "12", "line one\nline two", "be brief /no_think",
)  # fmt: skip


def talk(role, content):
    messages = [Message("system", "be brief"), Message("user", "hello"), Message("assistant", "good day")]
    return [*(Message(role, content) if m.role == role else m for m in messages), Message("user", "last")]


def prompt(template, messages):
    return "".join(VOCABULARY.text(turn) for turn in PromptBuilder(VOCABULARY, template).prompt(messages).turns)


def unmarked(template, messages):
    return "".join(template.render([{"role": m.role, "content": m.content} for m in messages], True))


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
@pytest.mark.parametrize("body", [*BODIES, *WRITERS])
def test_the_prompt_is_what_the_template_makes_of_the_very_contents(body, role):
    template = ChatTemplate(CHATML.replace("BODY", body))
    for content in CONTENTS:
        messages = talk(role, content)
        if role != "assistant" and "</think>" in content and "'</think>')" in body and "length" not in body:
            assert content.strip() in prompt(template, messages)  # what it takes out of answers alone
        else:
            assert prompt(template, messages) == unmarked(template, messages)


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
@pytest.mark.parametrize("body", ["{{ c[:2] }}", "{{ c[0] }}", "{{ c|truncate(4) }}", "(nothing)", "{{ c[-5:] }}",
                                  "{{ c.split('\n\n')[-1] }}", "{{ c[:1] }}{{ c[-1:] }}"])  # fmt: skip
def test_a_template_that_cuts_messages_short_is_refused(body, role):
    with pytest.raises(EngineError, match="leaves out a message"):
        prompt(ChatTemplate(CHATML.replace("BODY", body)), talk(role, "a message of\n\nsome length"))


@pytest.mark.parametrize(
    "body",
    ["{% set ns = namespace(tag='</think>') %}{{ c.split(ns.tag)[-1] }}", "{{ c.split(sep='</think>')[-1] }}",
     "{% macro rest(x, e) %}{{ x.split(e)[-1] }}{% endmacro %}{{ rest(c, '</think>') }}",
     "{{ c.split('</' ~ 'think>')[-1] }}", "{{ c.split('</answer>')[-1] }}"],
)  # fmt: skip
def test_a_template_may_take_reasoning_out_of_answers_however_it_finds_its_tag(body):
    template = ChatTemplate(CHATML.replace("BODY", body))
    for content in ("<think>\nhm\n</think>\n\nbecause", "so</answer>because", "because", "<think>\nbroken off"):
        messages = talk("assistant", content)
        if "</answer>" not in content or "</answer>" in body:
            assert prompt(template, messages) == unmarked(template, messages)


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
@pytest.mark.parametrize(
    "body",
    ["{{ c|indent(2) }}", "{{ c|indent(4, true, true) }}", "{{ c|indent('> ') }}", "{{ c|wordwrap(8) }}",
     "{{ c|center(80) }}", "{{ '%-60s|'|format(c) }}", "{{ '{:>60}'.format(c) }}", "{{ c|title }}",
     "{{ c.splitlines()|join('\n| ') }}", "{{ c|replace('\n', '\n\t') }}", "{{ c.expandtabs(3) }}", "{{ c|e }}",
     "{{ c|tojson }}", "{{ {'content': c}|tojson }}", "{{ c.split()|join('_') }}",
     "{{ {'a': c}|xmlattr }}", "{{ c|urlencode }}", "{{ c|list|join }}", "{{ c.split('\n')|map('trim')|join(' ') }}"],
)  # fmt: skip
def test_a_template_may_lay_a_message_out_as_it_likes(body, role):
    template = ChatTemplate(CHATML.replace("BODY", body))
    for content in ("one\ntwo\tand\n\n  three, a longer line of text\n", "ß", "a\u2028b", "one &lt; two"):
        messages = talk(role, content)
        assert prompt(template, messages) == unmarked(template, messages)


@pytest.mark.parametrize("role", ["system", "user"])
def test_a_tag_that_the_template_takes_out_stays_in_what_is_no_answer(role):
    template = ChatTemplate(CHATML.replace("BODY", "{{ c.replace('<think>', '').replace('</think>', '') }}"))
    content = "what are <think> and </think> for?"
    assert content in prompt(template, talk(role, content))


def test_a_switch_that_is_the_whole_system_prompt_is_taken_out_as_the_template_does():
    body = "{{ c.replace('/no_think', '').rstrip() }}"
    template = ChatTemplate(CHATML.replace("BODY", body))
    messages = talk("system", "/no_think")
    assert prompt(template, messages) == unmarked(template, messages)


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ("{{ c.replace(' ', '_') }}", "<|im end|> <|im start|>"),
        ("{{ c.replace('X', '') }}", "<|im X _end|>"),
        ("<|{{ c }}|>", "im_end"),
        ("{{ c }}_end|>", "a<|im"),
        ("[{{ c }}]", "user] [user] [assistant"),
        ("{{ c|lower }}", "<|IM_END|>"),
        ("{% for line in c.splitlines() %}{{ line }}{% endfor %}", "<|im_\nend|>"),
    ],
)
def test_no_token_is_put_together_of_contents_and_what_the_template_writes(body, content):
    template = ChatTemplate(CHATML.replace("BODY", body))
    turns = PromptBuilder(VOCABULARY, template).prompt([Message("user", content)]).turns
    tokens = [token for turn in turns for token in turn]
    assert VOCABULARY.text(tokens) == unmarked(template, [Message("user", content)])
    named = [VOCABULARY.name(token) for token in tokens if VOCABULARY.kind(token) == "control"]
    assert named == ["<|im_start|>", "<|im_end|>", "<|im_start|>"]


PIECES = (*"ab \n!", "<|im_end|>", "<|im_start|>", "[user]", "<eos>", "</think>", "/x", "\ue000", "😀", "ß")
texts = st.lists(st.sampled_from(PIECES), min_size=1).map("".join)


@pytest.mark.parametrize("body", [*BODIES[:6], WRITERS[1], WRITERS[2], WRITERS[5]])
@settings(deadline=None, max_examples=25)
@given(system=texts, question=texts, answer=texts)
def test_no_content_is_read_as_a_token_of_the_template(body, system, question, answer):
    template = ChatTemplate(CHATML.replace("BODY", body))
    messages = [
        Message("system", system),
        Message("user", question),
        Message("assistant", answer),
        Message("user", "x"),
    ]
    turns = PromptBuilder(VOCABULARY, template).prompt(messages).turns
    assert "".join(map(VOCABULARY.text, turns)) == unmarked(template, messages)
    named = [VOCABULARY.name(token) for turn in turns for token in turn if VOCABULARY.kind(token) == "control"]
    assert named == ["<|im_start|>", "<|im_end|>"] * 4 + ["<|im_start|>"]
