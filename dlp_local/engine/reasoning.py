"""How models mark their reasoning: tags around it, of many spellings, and harmony's channels."""

from __future__ import annotations

import re

_WORD = r"(?:[\w-]+:)?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad)"
_SLASHED = re.compile(rf"([<\[◁])([|｜]?)({_WORD})([|｜]?)([>\]▷])", re.IGNORECASE)
_WORDED = re.compile(r"(<\|?)(start|begin)(_(?:of_)?)(think|thinking|thoughts?|reasoning)(\|?>)", re.IGNORECASE)
_OTHERS = {
    "<|channel>": "<channel|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<unused94>": "<unused95>",
}
"""Gemma's, Apertus' and MedGemma's tags, which no rule makes."""

TAG = re.compile(r"[<\[◁][^<>\[\]◁▷\s]{1,30}[>\]▷]")
"""What may be a tag."""

CHANNEL, MESSAGE, START, END = "<|channel|>", "<|message|>", "<|start|>", "<|end|>"
"""Harmony: `<|start|>ROLE<|channel|>NAME<|message|>TEXT<|end|>`, one after the other; NAME is final for the answer."""

FINAL = "final"
_OPEN_CHANNEL = re.compile(rf"{re.escape(CHANNEL)}(\w+)[^<]*{re.escape(MESSAGE)}$")


def closing_tags(tag: str) -> tuple[str, ...]:
    """The tags that may end the reasoning which a tag begins; none where it begins no reasoning."""
    if tag in _OTHERS:
        return (_OTHERS[tag],)
    if match := _SLASHED.fullmatch(tag):
        left, bar, word, other_bar, right = match.groups()
        return tuple(dict.fromkeys((f"{left}{bar}/{word}{other_bar}{right}", f"{left}/{bar}{word}{other_bar}{right}")))
    if match := _WORDED.fullmatch(tag):
        left, begin, of, word, right = match.groups()
        end = "END" if begin.isupper() else "end"
        return (f"{left}{end}{of}{word}{right}",)
    return ()


def is_closing_tag(tag: str) -> bool:
    """Whether a tag ends some reasoning."""
    opened = re.sub(r"^([<\[◁][|｜]?)/", r"\1", tag.replace("</|", "<|/", 1))
    worded = re.sub("end", "start", tag, count=1, flags=re.IGNORECASE)
    begun = re.sub("end", "begin", tag, count=1, flags=re.IGNORECASE)
    return tag in _OTHERS.values() or any(
        closing_tags(candidate) for candidate in (opened, worded, begun) if candidate != tag
    )


def opened_by(prompt_end: str) -> tuple[str, ...] | None:
    """How reasoning ends that the end of a prompt has begun: by one of these tags, or by its channel (none of them).

    None where the prompt has begun no reasoning.
    """
    end = prompt_end.rstrip()
    if channel := _OPEN_CHANNEL.search(end):
        return None if channel[1] == FINAL else ()
    tags = list(TAG.finditer(end))
    return closing_tags(tags[-1][0]) or None if tags and tags[-1].end() == len(end) else None
