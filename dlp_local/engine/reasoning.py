"""How models mark their reasoning: tags around it, of many spellings, and harmony's channels.

A tag is known by its word, whatever stands around it: `<think>` (DeepSeek-R1, Qwen 3, SmolLM 3, GLM 4.5), `<thought>`
(EXAONE Deep), `<seed:think>` (Seed-OSS), `[THINK]` (Magistral), `◁think▷` (Kimi-VL), `<|START_THINKING|>` (Command A),
`<|begin_of_thought|>` (OpenThinker), `<reflection>` (Reflection Llama); bars and underscores may be DeepSeek's `｜` and
`▁`. The closing tag has a slash, or `end` in the place of `start` or `begin`. Three are as no rule makes them
(`_OTHERS`). And the word of a tag `</WORD>` at which a chat template splits answers is one of reasoning's, too, but not
where the template keeps what is within (Hunyuan's `<answer>`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = ("think", "thinking", "thought", "thoughts", "reason", "reasoning", "reflection", "scratchpad", "cot",
          "chain_of_thought", "inner_monologue")  # fmt: skip
_OTHERS = {
    "<|channel>": "<channel|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<unused94>": "<unused95>",
}
"""Gemma's, Apertus' and MedGemma's tags."""

TAG = re.compile(r"[<\[◁][^<>\[\]◁▷\s]{1,30}[>\]▷]")
"""What may be a tag."""

BEGUN_TAG = re.compile(r"[<\[◁][^<>\[\]◁▷\s]{0,30}\Z")
"""The end of a text that may become a tag."""

_PARTS = re.compile(
    r"(?P<open>[<\[◁])(?P<slash>/?)(?P<bar>[|｜]?)(?P<inner_slash>/?)"
    r"(?P<lead>(?:(?:start|begin|end)[_▁-](?:of[_▁-])?)?)(?P<space>(?:\w+:)?)(?P<word>[\w▁-]+?)"
    r"(?P<trail>(?:[_▁-](?:start|begin|end))?)(?P<other_bar>[|｜]?)(?P<close>[>\]▷])",
    re.IGNORECASE,
)
_BEGIN = re.compile("start|begin", re.IGNORECASE)
_END = re.compile("end", re.IGNORECASE)

CHANNEL, MESSAGE, START, END = "<|channel|>", "<|message|>", "<|start|>", "<|end|>"
"""Harmony: `<|start|>ROLE<|channel|>NAME<|message|>TEXT<|end|>`, one after the other; NAME is final for the answer."""

FINAL = "final"
_OPEN_CHANNEL = re.compile(rf"{re.escape(CHANNEL)}(\w+)[^<]*{re.escape(MESSAGE)}$")


class ReasoningTags:
    """The tags of one model's reasoning. `split_at`: the texts at which its chat template ends it in answers."""

    def __init__(self, split_at: Iterable[str] = ()) -> None:
        self._words = {_plain(word) for word in _WORDS}
        named = (_PARTS.fullmatch(text.strip()) for text in split_at)
        self._words |= {_plain(parts["word"]) for parts in named if parts and parts["open"] + parts["slash"] == "</"}

    def closing_tags(self, tag: str) -> tuple[str, ...]:
        """The tags that may end the reasoning which a tag begins; none where it begins no reasoning."""
        if tag in _OTHERS:
            return (_OTHERS[tag],)
        parts = self._parts(tag)
        if parts is None or _ends(parts):
            return ()
        before, within, after = tag[: parts.start("lead")], parts["space"] + parts["word"], tag[parts.end("trail") :]
        lead, trail = parts["lead"], parts["trail"]
        if lead or trail:
            return (before + _BEGIN.sub(_end_like, lead) + within + _BEGIN.sub(_end_like, trail) + after,)
        slashed = f"{parts['open']}/{parts['bar']}{within}{after}", f"{before}/{within}{after}"
        ended = tuple(f"{before}{inner}{after}" for inner in (f"end_{within}", f"end_of_{within}", f"{within}_end"))
        return tuple(dict.fromkeys(slashed)) + (ended if parts["bar"] else ())

    def is_closing(self, tag: str) -> bool:
        """Whether a tag ends some reasoning."""
        parts = self._parts(tag)
        return tag in _OTHERS.values() or (parts is not None and _ends(parts))

    def is_in(self, text: str) -> bool:
        """Whether a text has a tag that begins or ends reasoning."""
        return any(self.is_closing(tag[0]) or self.closing_tags(tag[0]) for tag in TAG.finditer(text))

    def is_opened(self, closing_tag: str, text: str) -> bool:
        """Whether a text has the opening tag of a closing one, be it as in XML, with attributes."""
        if any(closing_tag in self.closing_tags(tag[0]) for tag in TAG.finditer(text)):
            return True
        parts = self._parts(closing_tag)
        return parts is not None and re.search(rf"<{re.escape(parts['word'])}\s", text) is not None

    def opened_by(self, prompt_end: str) -> tuple[str, ...] | None:
        """How reasoning ends that a prompt has begun at its end: by one of these tags, or by its channel (no tags).

        None where the prompt has begun no reasoning.
        """
        end = prompt_end.rstrip()
        if channel := _OPEN_CHANNEL.search(end):
            return None if channel[1] == FINAL else ()
        tags = list(TAG.finditer(end))
        return self.closing_tags(tags[-1][0]) or None if tags and tags[-1].end() == len(end) else None

    def _parts(self, tag: str) -> re.Match[str] | None:
        """The parts of a tag whose word is one of reasoning."""
        parts = _PARTS.fullmatch(tag)
        return parts if parts and _plain(parts["word"]) in self._words else None


def _plain(word: str) -> str:
    return re.sub("[▁-]", "_", word).lower()


def _ends(parts: re.Match[str]) -> bool:
    return bool(parts["slash"] or parts["inner_slash"] or _END.match(parts["lead"]) or _END.search(parts["trail"]))


def _end_like(begin: re.Match[str]) -> str:
    return "END" if begin[0].isupper() else "End" if begin[0].istitle() else "end"
