"""Longer texts that ask nothing: letters, notes, articles, stories, logs, code, tables. Seeded, from templates.

A person pastes such a text alone, or around a request. Its embedding has a bit of everything, so a router that saw
none of them takes some for commands, schedules or queries.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence

SHORTEST, LONGEST, SHORTEST_PIECE = 200, 2000, 20
"""Characters of a text, about, and of a piece of one at least."""

_SLOTS: Mapping[str, Sequence[str]] = {
    "person": "Maria|Mr. Okafor|Ines|Professor Lund|Tom|Mrs. Albrecht|the caretaker|Yusuf|my sister|the engineer|Dana|"
    "our neighbor|Dr. Petrov|the two brothers|Ms. Tanaka|the old man|Priya|the foreman".split("|"),
    "place": "the harbor|the school|Graz|the north wall|the station|the cellar|Lyon|the mill|the upper meadow|"
    "the workshop|the reading room|Bergen|the bridge|the second floor|the market|the lighthouse".split("|"),
    "thing": "the boiler|the contract|the boat|the roof|the survey|the garden|the catalog|the fence|the piano|"
    "the report|the pump|the archive|the oven|the old clock|the delivery|the orchard".split("|"),
    "when": "last week|in March|on Monday|before the holidays|this morning|in the spring of 2019|on the 4th of June|"
    "at half past nine|yesterday evening|toward the end of October|two winters ago|on Thursday afternoon".split("|"),
    "amount": "forty euros|two hundred pages|about a third|three boxes|12.5 percent|a few hundred|$1,450|six hours|"
    "nine meters|a dozen".split("|"),
    "quality": "slow|cheerful|expensive|much quieter|damp|better than feared|unusually cold|crowded|patient|"
    "almost finished|plain|hard to find".split("|"),
    "animal": "the stork|the river otter|the honey bee|the barn owl|the salmon|the wild boar|the swift".split("|"),
    "field": "glass making|the wool trade|the railway|early printing|salt mining|bread|the postal service|"
    "the public library|river shipping".split("|"),
}

_LETTERS = (
    "Thank you for your letter, which reached me {when}.|We were at {place} {when}, and it was {quality}.|"
    "{person} has told me that {thing} will be ready {when}.|I am sorry that I did not write sooner.|"
    "The bill for {thing} came to {amount}, which is less than we agreed.|Since {when} the water has been running "
    "through {place} again.|I have put {thing} aside for you, and {person} will bring it.|The children ask about you "
    "every day.|As we discussed, {thing} stays with {person} until {when}.|If it suits you, we could meet at {place}, "
    "though I know that you are busy.|Work on {thing} began {when} and was {quality} from the first day.|"
    "{person} sends regards and hopes that your back is better.|The insurance has paid {amount}, and the rest is ours "
    "to bear.|I enclose the drawing of {place} and a copy of what {person} signed {when}.|Nobody has moved into the "
    "flat above us, so it is {quality} at night.|We will be away {when}, but {person} has a key.|It rained for "
    "{amount} of the journey, and the train stood still near {place}.|You asked about {thing}; it is {quality}.|"
    "My contract ends {when}, and I have not decided what comes after.|Please do not trouble yourself about {thing}."
).split("|")
_ARTICLES = (
    "The history of {field} in this region begins {when}, when {person} opened a house near {place}.|By 1850, {amount} "
    "of the town lived from {field}.|{animal} returns every year to {place}, where it has been counted since 1974.|"
    "Researchers followed {animal} over eleven years and found that winters had become {quality}.|The council decided "
    "{when} to rebuild {place}, at a cost of {amount}.|Critics say that {thing} was {quality} long before.|Until the "
    "war, {field} was the work of families; afterward it moved into factories.|What is left of it can be seen at "
    "{place}, in three rooms with low ceilings.|According to {person}, the plan changes little for those who live "
    "there.|Prices rose by {amount} within a year, while wages did not.|A study of 1,204 households came to another "
    "result.|The method spread quickly, since it was {quality} and needed no license.|In many languages the word for "
    "{field} comes from the one for fire.|Its walls are made of clay, straw and lime, and keep the rooms cool.|"
    "Visitors who come {when} find {place} closed.|The first map that shows it was drawn {when}.|Today about "
    "{amount} remain, most of them in private hands.|Whether {animal} will stay depends on the water in the meadows."
).split("|")
_STORIES = (
    "{person} had never been to {place} before.|The door was open, and nobody was there.|It was {quality} that night, "
    "and the lamps along {place} were out.|{person} took the key from the hook and said nothing.|Somewhere behind "
    "{place} a dog barked twice.|They had carried {thing} down the stairs {when}, and it still stood in the rain.|"
    "“You are late,” said {person}, without looking up.|For a while there was only the sound of the clock.|She "
    "counted the steps as she had done as a child.|The letter lay on the table where {person} had left it {when}.|He "
    "laughed, but it did not sound like laughing.|By the time they reached {place} the snow had begun.|In the morning "
    "{thing} was gone.|Nobody ever asked {person} about it again.|The boat moved, though there was no wind.|When the "
    "bells rang she thought of {place} and of the {quality} summers there.|He folded the map and put it into his coat.|"
    "At the window stood {person}, with flour on both hands."
).split("|")
_NOTES = (
    "{thing}: {quality}, see the pictures|{person} called {when}, will call again|{place} is done|open: who pays the "
    "{amount}?|{person} does not agree, too {quality}|decided: {thing} stays at {place}|next meeting {when}|"
    "{amount} left of the budget|the key is with {person}|measured {place} {when}: {amount}|{thing} not before "
    "the holidays|risk: it gets {quality} if {person} leaves|we looked at {place} and at {thing}"
).split("|")
_GREETINGS = "Dear {person},|Hello {person},|Dear Sir or Madam,|Hi {person},|Dear all,|My dear friend,".split("|")
_CLOSINGS = "Yours sincerely,|Kind regards,|With love,|All the best,|Yours,|Many thanks and regards,".split("|")
_LEVELS = "INFO|INFO|INFO|DEBUG|WARN|WARNING|ERROR|info|error|notice".split("|")
_PARTS = (
    "http|db|scheduler|auth|worker-3|kernel|sshd[812]|cache|mailer|main|nginx|systemd[1]|payment|gateway|queue"
).split("|")
_EVENTS = (
    "GET /v1/{word}s/{n} 200 in {n} ms|POST /api/{word} 500|job {n} started|job {n} done in {n} s|connection from "
    "10.0.{n}.{n} closed|retry {n} of 5 after timeout|user {word}{n} signed in|slow query on table {word}s ({n} ms)|"
    "cache miss for {word}:{n}|disk usage at {n} percent|Started Session {n} of user root.|worker exited with code "
    "{n}|{n} rows written|lock on {word} released|certificate expires in {n} days|Accepted publickey for {word} from "
    "192.168.{n}.{n} port {n}|reloading configuration|out of memory: killed process {n} ({word})|java.lang."
    "IllegalStateException: {word} is closed|    at com.example.{word}.Service.run(Service.java:{n})"
).split("|")
_WORDS = (
    "order|user|item|invoice|session|report|token|image|account|ticket|node|price|event|message|city|total|count|"
    "name|status|weight"
).split("|")
_CODE: Sequence[Sequence[str]] = (
    (
        "def {word}_{word}({word}, {word}s):\n    {word} = 0\n    for {word} in {word}s:\n        if {word}.{word} > "
        "{n}:\n            {word} += {word}.{word}\n    return {word}",
        "class {Word}{Word}:\n    def __init__(self, {word}, {word}=None):\n        self.{word} = {word}\n        "
        "self._{word}s = []\n\n    def add(self, {word}):\n        self._{word}s.append({word})",
        "import json\nfrom pathlib import Path\n\nwith Path('{word}s.json').open() as file:\n    {word}s = json.load("
        "file)\nprint(len({word}s), 'of', {n})",
        "@dataclass\nclass {Word}:\n    {word}: str\n    {word}: int = {n}\n    {word}: float = 0.0",
        "try:\n    {word} = find_{word}({n})\nexcept KeyError:\n    log.warning('no {word} %s', {n})\n    raise",
    ),
    (
        "function {word}{Word}({word}) {\n  const {word} = {word}.map((x) => x * {n});\n  return {word}.filter(Boolean"
        ");\n}",
        "export class {Word} extends Component {\n  state = { {word}: {n} };\n  render() {\n    return <div className="
        '"{word}">{this.state.{word}}</div>;\n  }\n}',
        "const {word} = await fetch(`/api/{word}s/${{word}.id}`);\nif (!{word}.ok) throw new Error('{word}');",
    ),
    (
        "static int {word}_{word}(struct {word} *p, size_t n)\n{\n    for (size_t i = 0; i < n; i++)\n        p[i]."
        "{word} = p[i].{word} + {n};\n    return 0;\n}",
        '#include <stdio.h>\n\nint main(void)\n{\n    printf("%d\\n", {n});\n    return 0;\n}',
        'if (!{word}) {\n    fprintf(stderr, "{word}: no memory\\n");\n    goto out;\n}',
    ),
    (
        '[{word}]\n{word} = {n}\n{word}_{word} = "{word}"\n{word}s = ["{word}", "{word}"]',
        "{word}:\n  {word}: {n}\n  {word}s:\n    - {word}\n    - {word}\n  enabled: true",
    ),
)


def _filled(template: str, rng: random.Random) -> str:
    """A template with its slots drawn; one that begins with a slot begins with a capital letter."""
    text = re.sub(r"\{(\w+)\}", lambda slot: _slot(slot[1], rng), template)
    return text[:1].upper() + text[1:] if template.startswith("{") else text


def _slot(name: str, rng: random.Random) -> str:
    if name in _SLOTS:
        return rng.choice(_SLOTS[name])
    if name == "n":
        return str(rng.choice((rng.randrange(10), rng.randrange(100), rng.randrange(30_000))))
    word = rng.choice(_WORDS)
    return word.capitalize() if name == "Word" else word


def _sentences(templates: Sequence[str], length: int, rng: random.Random) -> list[str]:
    """Sentences of a length together, each template once as long as there are others."""
    found: list[str] = []
    while sum(map(len, found)) < length:
        found += [_filled(one, rng) for one in rng.sample(templates, len(templates))]
    while len(found) > 2 and sum(map(len, found[:-1])) >= length:
        found.pop()
    return found


def _paragraphs(sentences: Sequence[str], rng: random.Random) -> str:
    """Sentences in paragraphs of two to six."""
    paragraphs, at = [], 0
    while at < len(sentences):
        count = rng.randint(2, 6)
        paragraphs.append(" ".join(sentences[at : at + count]))
        at += count
    return "\n\n".join(paragraphs)


def _letter(length: int, rng: random.Random) -> str:
    said = _paragraphs(_sentences(_LETTERS, length, rng), rng)
    if rng.random() < 0.3:
        return said
    name = rng.choice(("Anna", "K. Brandt", "Luis", "The board", "Your Eva", "J."))
    return f"{_filled(rng.choice(_GREETINGS), rng)}\n\n{said}\n\n{rng.choice(_CLOSINGS)}\n{name}"


def _article(length: int, rng: random.Random) -> str:
    title = _filled(rng.choice(("{field} and {place}\n\n", "The end of {field}\n\n", "", "")), rng)
    return title + _paragraphs(_sentences(_ARTICLES, length, rng), rng)


def _story(length: int, rng: random.Random) -> str:
    return _paragraphs(_sentences(_STORIES, length, rng), rng)


def _notes(length: int, rng: random.Random) -> str:
    mark = rng.choice(("- ", "* ", "", "• "))
    return "\n".join(mark + line for line in _sentences(_NOTES, length, rng))


def _log(length: int, rng: random.Random) -> str:
    at, kind, lines = rng.randrange(86_400), rng.randrange(4), list[str]()
    day = f"{rng.randint(2015, 2026)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    while sum(map(len, lines)) < length:
        at = (at + rng.randrange(90)) % 86_400
        clock = f"{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}"
        level, part, event = rng.choice(_LEVELS), rng.choice(_PARTS), _filled(rng.choice(_EVENTS), rng)
        heads = (
            f"{day} {clock},{rng.randrange(1000):03} {level:<5} {part:<10} ",
            f"[{day}T{clock}Z] {level} {part}: ",
            f"Mar {at % 28 + 1:2} {clock} host {part}: ",
            f"{clock} [{part}] {level} - ",
        )
        lines.append(heads[kind] + event)
    return "\n".join(lines)


def _program(length: int, rng: random.Random) -> str:
    pieces, language = list[str](), rng.choice(_CODE)
    while sum(map(len, pieces)) < length:
        pieces.append(_filled(rng.choice(language), rng))
    return "\n\n".join(pieces)


def _table(length: int, rng: random.Random) -> str:
    columns, comma = rng.sample(_WORDS, rng.randint(3, 6)), rng.choice((",", ";", "\t", " | "))
    lines = [comma.join(columns)]
    while sum(map(len, lines)) < length:
        cells = (
            rng.choice((str(rng.randrange(5000)), rng.choice(_WORDS), f"{rng.random() * 90:.2f}")) for _ in columns
        )
        lines.append(comma.join(cells))
    return "\n".join(lines)


_KINDS: Sequence[Callable[[int, random.Random], str]] = (
    _letter, _letter, _article, _article, _story, _notes, _log, _log, _program, _table,
)  # fmt: skip


def make_texts(count: int, rng: random.Random) -> list[str]:
    """So many texts, and of half of them a paragraph or line, as the ends of a message are looked at."""
    texts = [rng.choice(_KINDS)(round(SHORTEST * (LONGEST / SHORTEST) ** rng.random()), rng) for _ in range(count)]
    pieces = [re.split(r"\n\s*\n|\n", text) for text in rng.sample(texts, count // 2)]
    said = [[piece.strip() for piece in of_text if len(piece.strip()) >= SHORTEST_PIECE] for of_text in pieces]
    return texts + [rng.choice(of_text) for of_text in said if of_text]
