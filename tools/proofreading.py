"""A generator for the `proofread` task: a sentence with slips → the sentence as it should be.

Sentences come from the data sets' own texts; slips are put into them: exchanged, doubled, lost and neighboring letters,
wrong homophones, lost apostrophes, doubled words, `a` for `an`, verbs that do not agree, lost capitals and full stops.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from tools.generated import Made

_NEIGHBORS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "j": "hk",
    "k": "jl", "l": "k", "m": "n",
    "n": "bm", "o": "ip", "p": "o", "q": "w", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe",
    "x": "zc", "y": "tu", "z": "x",
}  # fmt: skip
_SLIPS = {
    "their": ("there", "thier", "they're"), "there": ("their", "ther"), "they're": ("their", "theyre"),
    "its": ("it's",), "it's": ("its",),
    "your": ("you're", "youre"), "you're": ("your", "youre"), "to": ("too",), "too": ("to",), "than": ("then",),
    "then": ("than",),
    "receive": ("recieve",), "received": ("recieved",), "which": ("wich", "witch"), "because": ("becuase", "becasue"),
    "definitely": ("definately",),
    "separate": ("seperate",), "until": ("untill",), "with": ("whit", "wiht"), "and": ("adn", "an"), "the": ("teh",
    "hte", "th"), "have": ("ahve", "has"),
    "has": ("have",), "is": ("are",), "are": ("is",), "was": ("were",), "were": ("was",), "does": ("do",),
    "doesn't": ("dont", "don't", "doesnt"),
    "don't": ("dont", "doesn't"), "can't": ("cant",), "isn't": ("isnt",), "didn't": ("didnt",), "won't": ("wont",),
    "i'm": ("im",), "I'm": ("Im", "im"),
    "I": ("i",), "an": ("a",), "a": ("an",), "of": ("fo",), "from": ("form",), "address": ("adress",),
    "restaurant": ("restaraunt", "resturant"),
    "lose": ("loose",), "affect": ("effect",), "where": ("were", "wher"), "who's": ("whose",), "whose": ("who's",),
    "know": ("now",), "wrong": ("rong",),
    "accommodate": ("accomodate",), "tomorrow": ("tommorow", "tomorow"), "beginning": ("begining",),
    "different": ("diffrent",), "customer": ("costumer",),
    "friendly": ("freindly",), "believe": ("beleive",), "this": ("tihs",), "that": ("taht",), "what": ("waht",),
    "could have": ("could of",),
    "directory": ("direcotry", "directry"), "specific": ("specifc", "spesific"), "existing": ("exsisting",),
    "list": ("lsit",), "files": ("flies", "file"),
}  # fmt: skip
_ASKS = (
    "proofread: {}", "proofread this: {}", "Proofread: {}", "correct this sentence: {}", "fix the typos: {}",
    "fix the grammar: {}", "correct: {}",
    "correct the spelling: {}", "please proofread the following sentence:\n{}", "check my spelling: {}",
    "fix my English: {}", "spellcheck: {}",
    "is this correct? {}", "correct the mistakes in: {}", "fix typos in this text: {}", "proofread this sentence\n{}",
    "fix spelling and grammar: {}",
    "can you correct this: {}", "grammar check: {}", "edit for grammar: {}", "{}\n\nproofread this",
    "correct my sentence: {}", "fix this sentence: {}",
)  # fmt: skip


def _typo(word: str, rng: random.Random) -> str:
    i = rng.randrange(1, len(word) - 1) if len(word) > 3 else rng.randrange(len(word))
    kind = rng.randrange(4)
    if kind == 0 and i + 1 < len(word) and word[i] != word[i + 1]:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if kind == 1 and len(word) > 3:
        return word[:i] + word[i + 1 :]
    if kind == 2:
        return word[:i] + word[i] + word[i:]
    near = _NEIGHBORS.get(word[i].lower(), "e")
    return word[:i] + rng.choice(near) + word[i + 1 :]


def with_slips(sentence: str, count: int, rng: random.Random) -> str:
    """A sentence with up to so many slips in it."""
    words = sentence.split(" ")
    for _ in range(count):
        i = rng.randrange(len(words))
        word = words[i]
        core = word.strip(".,;:!?()\"'")
        known = _SLIPS.get(core) or _SLIPS.get(core.lower())
        kind = rng.random()
        if kind < 0.12 and len(words) > 3:
            words[i] = f"{word} {core}" if core.isalpha() and core == word else word
        elif kind < 0.2 and i == 0:
            words[i] = word[:1].lower() + word[1:]
        elif kind < 0.26 and word[-1:] in ".,?":
            words[i] = word[:-1]
        elif known and kind < 0.85:
            slip = rng.choice(known)
            words[i] = word.replace(core, slip.capitalize() if core[:1].isupper() and len(core) > 1 else slip, 1)
        elif core.isalpha() and len(core) > 3 and core[1:].islower():
            words[i] = word.replace(core, _typo(core, rng), 1)
        else:
            likely = [
                j
                for j, other in enumerate(words)
                if other.lower() in _SLIPS or (other.isalpha() and len(other) > 4 and other[1:].islower())
            ]
            if likely:
                j = rng.choice(likely)
                known = _SLIPS.get(words[j].lower())
                words[j] = (
                    rng.choice(known)
                    if known and words[j].islower()
                    else _typo(words[j], rng)
                    if len(words[j]) > 3
                    else words[j]
                )
    return " ".join(words)


def sentences(texts: Sequence[str]) -> list[str]:
    """Whole sentences of 4 to 30 words, without code: from a capital to a full stop or a question mark."""
    found = set()
    for text in texts:
        for sentence in re.split(r"(?<=[.?!])\s+", text.strip()):
            words = sentence.split(" ")
            if (
                4 <= len(words) <= 30
                and re.fullmatch(r"[A-Z][A-Za-z0-9 ,'’;:£.\-]+[.?!]", sentence)
                and "  " not in sentence
            ):
                found.add(sentence)
    return sorted(found)


def make(rng: random.Random, source: Sequence[str]) -> Made:
    """One row; one in eight is right already."""
    sentence = rng.choice(source)
    count = rng.choice([0, 1, 1, 2, 2, 2, 3, 4])
    message = rng.choice(_ASKS).format(with_slips(sentence, count, rng))
    return Made(sentence, message, sentence)
