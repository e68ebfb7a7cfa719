"""Grammars that clients send: what llama.cpp could not follow does not come to it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.gbnf import check_grammar
from dlp_local.engine.constraints.schema import schema_grammar

CHESS = r"""# a game
root ::= (
    # moves
    "1. " move " " move "\n"
    ([1-9] [0-9]? ". " move " " move "\n")+
)
move ::= (pawn | nonpawn | castle) [+#]?
nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])? |
   "e.p." | [^\x00-\x1F\]"\\]{2,3} | .
castle  ::= "O-O" "-O"?
"""


@pytest.mark.parametrize(
    "source", [CHESS, 'root ::= "a" | ', "root ::= a*\na ::= [a]", schema_grammar('{"type": "array"}')]
)
def test_grammars_as_llama_cpp_has_them_pass_as_they_are(source):
    assert check_grammar(source) == source


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (" ", "no rule called root"),
        ('x ::= "a"', "no rule called root"),
        ("root ::= other", "other"),
        ("root ::= [a", "'\\['"),
        ('root ::= "a', "not expected"),
        ('root ::= ("a"', "not closed"),
        ('root = "a"', "no ::="),
        ('root ::= root "a"', "itself"),
        ('root ::= x root\nx ::= "a"?', "itself"),
        ('root ::= "a" root', "always holds itself"),
        ("root ::= a{1000}\na ::= b{1000}\nb ::= [x]?", "may be empty"),
        ('root ::= (("a"){1,90}){1,90}', "in all"),
        ("root ::= " + "x | " * 300 + 'x\nx ::= "a"? ("b" | "c" | [d])', "alternatives at one place"),
        ("root ::= " + '"a" | ' * 1000 + '"a"', "alternatives at one place"),
        ("root ::= [a] " + "[a-z]* " * 5, "one directly after another"),
        ("root ::= " + "(" * 5000 + ")" * 5000, "groups within groups"),
    ],
)
def test_what_is_none_or_would_never_end_is_refused_with_the_reason(source, said):
    with pytest.raises(InputError, match=f"grammar: .*{said}"):
        check_grammar(source)


@given(st.text(alphabet='rot:= "a[]()|*+?{},1\\\n#-', max_size=60))
def test_whatever_is_sent_as_a_grammar_is_taken_or_refused(source):
    with suppress(InputError):
        assert check_grammar(f"root ::= {source}")
