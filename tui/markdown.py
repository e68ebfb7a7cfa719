"""How an answer becomes what is seen: exact where it must be exact, Markdown where it is Markdown.

Most answers here are commands, SQL, JSON or a plain sentence, and their characters matter: Markdown would take the
stars out of `a*b*c`, the underscores out of `__init__.py`, the tags out of HTML and the newlines out of everything.
So an answer is shown **verbatim until it shows block structure** (a code fence, a table, a heading, `**strong**`
words); from there on it is Markdown, with a grammar that keeps every character but the marks of that structure.
History keeps the raw text either way.

Single stars, dashes and `#` lines do not count as structure: they are also globs, YAML and shell comments, and a
plain list reads well as it is.
"""

from __future__ import annotations

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_inline.emphasis import tokenize as _emphasis
from markdown_it.rules_inline.state_inline import StateInline

_STRUCTURE = re.compile(
    r"""
    ^[ ]{0,3}(?:```|~~~)                                             # a code fence
    | ^[ ]{0,3}\#{2,6}[ ]\S                                          # a heading; one # is a comment
    | ^[ ]{0,3}\|?[ ]*:?-{3,}:?[ ]*(?:\|[ ]*:?-{3,}:?[ ]*)+\|?[ ]*$  # the line under a table's head
    | (?<![\w*/\\.])\*\*[^\s*/.][^*\n]*(?<=[^\s*/.(])\*\*(?![\w*/.])  # **strong words**, but no ** of globs and kwargs
    """,
    re.VERBOSE | re.MULTILINE,
)


def has_structure(text: str) -> bool:
    """Whether an answer is to be drawn as Markdown."""
    return _STRUCTURE.search(text) is not None


def markdown_parser() -> MarkdownIt:
    """CommonMark with tables, less all that makes characters vanish.

    No HTML, links, images, entities, backslash escapes or underline headings; no emphasis by underscores nor inside
    words; a newline is a newline.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.disable(
        ["html_block", "html_inline", "reference", "lheading", "link", "image", "autolink", "entity", "escape"]
    )
    parser.inline.ruler.at("emphasis", _stars_around_words)
    parser.core.ruler.push("keep_newlines", _keep_newlines)
    return parser


def _stars_around_words(state: StateInline, silent: bool) -> bool:
    """Emphasis by stars that stand outside of words."""
    if state.src[state.pos] != "*":
        return False
    end = state.pos
    while end < state.posMax and state.src[end] == "*":
        end += 1
    before = state.src[state.pos - 1] if state.pos else " "
    after = state.src[end] if end < state.posMax else " "
    if before.isalnum() and after.isalnum():
        return False
    return _emphasis(state, silent)


def _keep_newlines(state: Any) -> None:
    """A single newline in a paragraph is drawn as one, not as a space."""
    for token in state.tokens:
        for child in token.children or ():
            if child.type == "softbreak":
                child.type = "hardbreak"
