"""The Markdown of answers: a grammar that keeps every character but the marks of its structure."""

from __future__ import annotations

from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_inline.emphasis import tokenize as _emphasis
from markdown_it.rules_inline.state_inline import StateInline


def markdown_parser() -> MarkdownIt:
    """CommonMark with tables and ~~strikes~~, less all that makes characters vanish.

    No HTML, links, images, entities, backslash escapes or underline headings; no emphasis by underscores nor inside
    words; a newline is a newline.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
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
