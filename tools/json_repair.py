"""A seeded generator for the `json` task: broken JSON → the same data as valid JSON, in the layout it came in."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from tools.generated import Made

_KEYS = (
    "name id title age email city country price count total enabled active debug host port user password path url "
    "type status version author tags items color size width height date time phone address street zip first_name "
    "last_name quantity product category score rating comment message level timeout retries theme language "
    "font_size volume mode token createdAt updatedAt isAdmin userId maxSize minValue retryCount logLevel apiKey "
    "baseUrl fileName contentType is_open lat lon start end duration notes description owner team role license "
    "scripts main test build dependencies x y z done priority due project task currency amount order customer "
    "shipping payment brand model year mileage"
).split()
_WORDS = (
    "Ana Ben Carla Berlin Paris Tokyo red green blue dark light admin guest editor draft open closed localhost "
    "example.com https://example.com/a hello world apple pear bread milk Lisbon Oslo info debug warning 1.0.2 2.3 "
    "a@example.com main.py index.html /var/log/app.log New York, San Jose, USD EUR monthly large small 2024-05-01 "
    "12:30 Mon it's fine, the end left right en de utf-8 image/png ready true story no none MIT coffee tea Smith "
    "O'Brien García Zoë Rue de Lyon"
).split()
_NESTED = (
    "user",
    "address",
    "settings",
    "config",
    "data",
    "meta",
    "server",
    "database",
    "options",
    "items",
    "users",
    "results",
)


def _word(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(_WORDS)
    if kind < 0.9:
        return " ".join(rng.sample(_WORDS, rng.choice([2, 2, 3])))
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
    return "".join(rng.choices(letters, k=rng.randrange(3, 12)))


def _scalar(rng: random.Random) -> Any:
    kind = rng.random()
    if kind < 0.5:
        return _word(rng)
    if kind < 0.75:
        return rng.choice([rng.randrange(10), rng.randrange(100), rng.randrange(10_000), rng.randrange(-50, 0)])
    if kind < 0.84:
        return round(rng.uniform(-10, 200), rng.choice([1, 2, 2]))
    return rng.choice([True, False, True, False, None])


def _object(rng: random.Random, size: int) -> dict[str, Any]:
    keys = (
        rng.sample(_KEYS, size)
        if rng.random() < 0.8
        else list(dict.fromkeys("_".join(rng.sample(_KEYS, 2)) for _ in range(size)))
    )
    return {key: _scalar(rng) for key in keys}


def value(rng: random.Random) -> Any:
    """A small JSON object or list, as in a settings file or an API's answer."""
    kind = rng.random()
    if kind < 0.4:
        return _object(rng, rng.randrange(1, 6))
    if kind < 0.6:
        made = _object(rng, rng.randrange(1, 4))
        made[rng.choice(_NESTED)] = _object(rng, rng.randrange(1, 4)) if rng.random() < 0.6 else _list(rng)
        return made
    if kind < 0.72:
        made = {rng.choice(_NESTED): _object(rng, rng.randrange(1, 4))}
        if rng.random() < 0.5:
            made |= _object(rng, rng.randrange(1, 3))
        return made
    if kind < 0.85:
        keys = rng.sample(_KEYS, rng.randrange(1, 4))
        return [{key: _scalar(rng) for key in keys} for _ in range(rng.randrange(1, 5))]
    return _list(rng)


def _list(rng: random.Random) -> list[Any]:
    count = rng.randrange(1, 6)
    if rng.random() < 0.5:
        return [_word(rng) for _ in range(count)]
    return [_scalar(rng) for _ in range(count)]


def _quote_like_python(text: str, rng: random.Random) -> str:
    def single(match: re.Match[str]) -> str:
        inner = match[0][1:-1]
        return match[0] if "'" in inner or "\\" in inner else f"'{inner}'"

    text = re.sub(r'"(?:[^"\\]|\\.)*"', single, text)
    return _python_words(text, rng)


def _python_words(text: str, rng: random.Random) -> str:
    for plain, python in (("true", "True"), ("false", "False"), ("null", "None")):
        text = re.sub(rf"(?<=[\s:\[,]){plain}(?=[\s,\]}}]|$)", python, text)
    return text


def _unquote_keys(text: str, rng: random.Random) -> str:
    if rng.random() < 0.6:
        return re.sub(r'"([A-Za-z_]\w*)"(?=:)', r"\1", text)
    found = list(re.finditer(r'"([A-Za-z_]\w*)"(?=:)', text))
    return _at(text, rng.choice(found), r"{}") if found else text


def _at(text: str, match: re.Match[str], form: str) -> str:
    return text[: match.start()] + form.format(match[1]) + text[match.end() :]


def _drop(pattern: str, replacement: str = "") -> Any:
    def drop(text: str, rng: random.Random) -> str:
        found = list(re.finditer(pattern, text))
        if not found:
            return text
        match = rng.choice(found)
        return text[: match.start()] + match.expand(replacement) + text[match.end() :]

    return drop


def _trailing_comma(text: str, rng: random.Random) -> str:
    found = list(re.finditer(r"(?<=[\w\"\]}])(\s*)([}\]])", text))
    if not found:
        return text
    match = rng.choice(found)
    return f"{text[: match.start()]},{match[1]}{match[2]}{text[match.end() :]}"


def _cut_end(text: str, rng: random.Random) -> str:
    count = rng.choice([1, 1, 2])
    for _ in range(count):
        if text.rstrip()[-1:] in "}]":
            text = text.rstrip()[:-1].rstrip()
    return text


def _comment(text: str, rng: random.Random) -> str:
    words = " ".join(
        rng.sample(
            "the default value todo change this for now see docs user settings main limit".split(),
            rng.choice([1, 2, 3]),
        )
    )
    if "\n" in text:
        lines = text.split("\n")
        i = rng.randrange(1, len(lines))
        if rng.random() < 0.5:
            lines[i - 1] += f"  {rng.choice(['//', '#'])} {words}"
        else:
            lines.insert(i, f"{' ' * (len(lines[i]) - len(lines[i].lstrip()))}{rng.choice(['//', '#'])} {words}")
        return "\n".join(lines)
    spaces = [match.start() for match in re.finditer(r"(?<=,) |(?<=\{)", text)]
    if not spaces:
        return text
    at = rng.choice(spaces)
    return f"{text[:at]} /* {words} */{'' if text[at : at + 1] == ' ' else ' '}{text[at:]}"


def _smart_quotes(text: str, rng: random.Random) -> str:
    return re.sub(r'"((?:[^"\\]|\\.)*)"', "“\\1”", text)


_BREAKS = (
    (_drop(r","), 5), (_trailing_comma, 4), (_quote_like_python, 5), (_unquote_keys, 5), (_cut_end, 5),
    (_python_words, 3),
    (_drop(r'"(?=:)'), 2), (_drop(r'(?<=[:,\[{] )"(?=\w)'), 2), (_drop(r'(?<=\w)"(?=[,}\]])'), 2), (_drop(r":"), 2),
    (_drop(r":( ?)", "= "), 2), (_comment, 3), (_smart_quotes, 2), (_drop(r","," ,,"), 1), (_drop(r",", ";"), 2),
    (_drop(r'"(\w+)"(?=[,}\]])', r"\1"), 3), (_drop(r"(?<=: )(-?\d+)(?=[,}\]\s])", r"0\1"), 0),
    (_drop(r"[}\]](?=.*[}\]])"), 1),
    (_drop(r":", " =>"), 1), (_drop(r"^[{\[]"), 1),
)  # fmt: skip
"""Ways to break JSON, and how often each is taken."""

_ASKS = (
    "fix this JSON: {}", "fix this json:\n{}", "json: {}", "JSON: {}", "repair this JSON: {}", "repair: {}",
    "fix: {}", "{}", "{}", "{}", "{}",
    "what is wrong with this JSON? {}", "make this valid JSON: {}", "make valid json: {}", "mend this JSON:\n{}",
    "correct the JSON: {}", "{}\nfix it",
    "this json does not parse:\n{}", "please fix the following JSON\n{}", "my json is broken: {}",
    "turn this into valid JSON: {}",
    "invalid json, please repair:\n{}", "can you fix this json? {}", "json syntax error: {}",
    "{}\n\nthis is not valid JSON, correct it", "clean up this JSON: {}",
)  # fmt: skip


def make(rng: random.Random) -> Made:
    """One row; one in twelve is valid already."""
    while True:
        data = value(rng)
        indent = rng.choice([2, 2, 4]) if rng.random() < 0.3 else None
        whole = json.dumps(data, ensure_ascii=False, indent=indent)
        compact = indent is None and rng.random() < 0.15
        broken = json.dumps(data, ensure_ascii=False, separators=(",", ":")) if compact else whole
        if rng.random() > 1 / 12:
            ways, often = zip(*_BREAKS, strict=True)
            for way in rng.choices(ways, often, k=rng.choice([1, 1, 1, 2, 2, 3])):
                broken = way(broken, rng)
            try:
                json.loads(broken)
                continue
            except ValueError:
                pass
        if len(whole) > 340:
            continue
        return Made(whole, rng.choice(_ASKS).format(broken), whole)
