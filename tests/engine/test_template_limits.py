"""Chat templates of strangers that would run for ever or fill the memory: each is ended, at once, and named."""

import pytest

from dlp_local.core.errors import PackError
from dlp_local.core.values import Message
from dlp_local.engine import template_limits
from dlp_local.engine.prompt import PromptBuilder
from dlp_local.engine.template import LONGEST, ChatTemplate
from tests.support.characters import Characters

TALK = (Message("user", "hello"), Message("assistant", "good day"), Message("user", "and now?"))
BIG = "{% set big = 'a' * 1000000 %}"
ROUNDS = "{% set r = range(99999) %}"
ENDLESS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    f"{ROUNDS}{{% for a in r %}}{{% for b in r %}}{{% for c in r %}}{{% endfor %}}{{% endfor %}}{{% endfor %}}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    f"{ROUNDS}{{% for a in r %}}{{{{ r|sum }}}}{{% endfor %}}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    f"{ROUNDS}{{% for a in r %}}{{% for b in r if b == -1 %}}{{% endfor %}}{{% endfor %}}",
)
ENDLESS_MEMORY = (
    "{{ 'a' * 10**10 }}", "{{ 10**10 * 'a' }}", "{{ [1] * 10**10 }}", "{{ 7**(10**10) }}",
    "{% set ns = namespace(n=3) %}{% for i in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
    "{% set x = 'abc' %}" + "{% set x = x ~ x %}" * 60,
    "{% set x = 'abc' %}" + "{% set x = x + x %}" * 60,
    "{% set x = 'abc' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 60,
    "{% set x = ['abc'] %}" + "{% set x = x + x %}" * 60,
    "{% set x = 'abc' %}" + "{% set x = [x, x]|join %}" * 60,
    "{% set x = ['abc'] %}" + "{% set x = [x, x] %}" * 60 + "{{ x }}",
    "{% set x = ['abc'] %}" + "{% set x = [x, x] %}" * 60 + "{{ x|tojson }}",
    "{% set x = ['abc'] %}" + "{% set x = {'a': x, 'b': x} %}" * 60 + "{{ 'x' ~ x }}",
    "{% set x = namespace(a=1) %}" + "{% set x = namespace(a=x, b=x) %}" * 60 + "{{ x }}",
    "{% set x = [1] %}{% set y = [1] %}" + "{% set x = [x, x] %}{% set y = [y, y] %}" * 60 + "{{ x == y }}",
    "{{ 'a'.ljust(10**10) }}", "{{ 'a'|center(10**10) }}", "{{ 'a'.encode().zfill(10**10) }}",
    "{{ (1).to_bytes(10**10, 'big') }}", "{{ '%10000000000d' % 1 }}", "{{ '%*d' % (10**10, 1) }}",
    "{{ '%10000000000d'|format(1) }}", "{{ '{:10000000000}'.format(1) }}", "{{ '{:{}}'.format(1, 10**10) }}",
    "{{ [1]|batch(10**10, 'x')|list }}", "{{ [1]|slice(10**10)|list }}", "{{ [[1]]|tojson(indent=10**10) }}",
    "{{ ('\\n' * 1000000)|indent(1000000) }}", "{{ ('\\t' * 1000000).expandtabs(1000000) }}",
    f"{BIG}{{{{ big.replace('a', big) }}}}", f"{BIG}{{{{ big|replace('a', big) }}}}", f"{BIG}{{{{ big|wordwrap(1) }}}}",
    f"{BIG}{{{{ big.translate({{97: big}}) }}}}", f"{BIG}{{{{ [big] * 10000 }}}}",
    f"{BIG}{{{{ big.join([big] * 9999) }}}}",
    f"{BIG}{{{{ ('%s' * 9999) % ((big,) * 9999) }}}}", f"{BIG}{{{{ '%s' % [[big] * 9999] }}}}",
    f"{BIG}{{% for i in range(9999) %}}{{{{ big }}}}{{% endfor %}}",
    f"{BIG}{{% for i in range(9999) %}}{{% set x = big[i:] %}}{{% endfor %}}",
    "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = ns.l + [range(9999)|list] %}{% endfor %}",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _little_time(monkeypatch):
    monkeypatch.setattr(template_limits, "SECONDS", 0.1)


@pytest.mark.parametrize("source", [*ENDLESS, *ENDLESS_MEMORY])
def test_a_template_without_an_end_is_refused_when_the_backbone_is_opened(source):
    with pytest.raises(
        PackError, match=r"chat template .*(come to an end|without a measure|calls itself).*engine\.chat_template"
    ):
        PromptBuilder(Characters(), ChatTemplate(source))


def test_a_range_that_jinja_does_not_make_is_refused_with_its_reason():
    template = ChatTemplate("{% for i in range(10**12) %}{% endfor %}")
    with pytest.raises(PackError, match=r"the chat template of the backbone counts to more than 100000\. Give another"):
        PromptBuilder(Characters(), template).prompt(TALK)


@pytest.mark.parametrize(
    "source",
    ["{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "{{ " + "not " * 5000 + "x }}", "{{ x" + ".a" * 5000 + " }}",
     "{% for a in b %}" * 50 + "{% endfor %}" * 50, "{{ 1 + " + "1 + " * 5000 + "1 }}", "{% if x %}", "{{ x|nosuch }}",
     " " * LONGEST + "{{ messages }}", "{% include 'x"],
)  # fmt: skip
def test_a_template_that_cannot_be_compiled_is_refused_as_such(source):
    with pytest.raises(PackError, match=r"chat template.*Give another one"):
        ChatTemplate(source)


def test_a_long_conversation_is_within_what_a_template_may_use():
    template = ChatTemplate(
        "{% set ns = namespace(all='') %}{% for m in messages %}{% if (messages|length) - loop.index0 > 0 %}"
        "{% set ns.all = ns.all + '[' ~ m.role ~ ']' + m.content|trim ~ '\\n' %}{% endif %}{% endfor %}{{ ns.all }}"
    )
    talk = [Message("user" if number % 2 == 0 else "assistant", "word " * 100) for number in range(101)]
    tokens = [token for turn in PromptBuilder(Characters(), template).prompt(talk).turns for token in turn]
    assert Characters().text(tokens).count("word") == 101 * 100
