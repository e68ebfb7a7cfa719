"""Whether an answer is to be drawn as Markdown, or verbatim.

Most answers here are commands, SQL, JSON or a plain sentence, and their characters matter: Markdown would take the
stars out of `a*b*c`, the underscores out of `__init__.py`, the tags out of HTML and the newlines out of everything.
So an answer is shown **verbatim until it shows structure**; from there on it is Markdown, with a grammar that keeps
every character but the marks of that structure (`tui.markdown`). History keeps the raw text either way.

A code fence and a table are structure wherever they stand. The other marks are also globs, YAML, shell comments and
command substitutions, so they count only where they stand in prose: a heading after which a blank line comes, two items
of a list that begin as sentences do, a quote of words, code within a sentence.
"""

from __future__ import annotations

import re

_STRUCTURE = re.compile(
    r"""
    ^[ ]{0,3}(?:```|~~~)                                             # a code fence
    | ^[ ]{0,3}\#{2,6}[ ]\S                                          # a heading
    | ^[ ]{0,3}\#[ ][A-Z][^\n]*\n[ ]*\n                              # one # is a comment, but for a title by itself
    | ^[ ]{0,3}\|?[ ]*:?-{3,}:?[ ]*(?:\|[ ]*:?-{3,}:?[ ]*)+\|?[ ]*$  # the line under a table's head
    | (?<![\w*/\\.])\*\*[^\s*/.][^*\n]*(?<=[^\s*/(])\*\*(?![\w*/])  # **strong words**, but no ** of globs and kwargs
    | ^[ ]{0,3}([-*+])[ ]["`*]*[A-Z][^\n]*\n(?:[ ]*\n)?(?:[ ]{2,}[^\n]*\n)*[ ]{0,3}\1[ ]["`*]*[A-Z]  # - Two\n- Items
    | ^[ ]{0,3}1[.)][ ]["`*]*[A-Z][^\n]*\n(?:[ ]*\n)?(?:[ ]{2,}[^\n]*\n)*[ ]{0,3}2[.)][ ]["`*]*[A-Z]  # 1. Two\n2. Items
    | ^[A-Z][^\n ]*[ ][^\n]*:\n(?:[ ]*\n)?[ ]{0,3}[-*+][ ]\S           # what a sentence announces:\n- this
    | ^[A-Z][^\n]*:\n(?:[ ]*\n)?[ ]{0,3}1[.)][ ]\S                     # Steps:\n1. this
    | ^[ ]{0,3}>[ ]["`*]*[A-Z][a-z]+[ ,]                             # a quote: > Words
    | ^[ ]{0,3}(?:[-*+][ ]|\d+[.)][ ])?[A-Z][a-z']*[ ](?:[^`\n]*[ (])?`[^`\n]+`(?=[ .,:;?!)]|$)  # Words and `code`
    """,
    re.VERBOSE | re.MULTILINE,
)


def has_structure(text: str) -> bool:
    """Whether an answer is to be drawn as Markdown."""
    return _STRUCTURE.search(text) is not None
