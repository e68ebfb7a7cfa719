r"""A seeded generator for the `regex` task: what to match, in words → a regular expression (Python's, PCRE's).

Built from parts ("three digits", "an optional minus sign", "the word error") that follow one another, with what holds
them in place ("the whole line", "at the start of"), and from well-known shapes (dates, times, addresses) in several
wordings.
"""

from __future__ import annotations

import random
import re

from tools.dates import number_words
from tools.generated import Made

_CLASSES = (
    (("digit", "digits"), r"\d"), (("digit", "digits"), r"\d"), (("number character", "numeric characters"), r"\d"),
    (("lowercase letter", "lowercase letters"), "[a-z]"), (("small letter", "small letters"), "[a-z]"),
    (("uppercase letter", "uppercase letters"), "[A-Z]"), (("capital letter", "capital letters"), "[A-Z]"),
    (("capital", "capitals"), "[A-Z]"),
    (("letter", "letters"), "[A-Za-z]"), (("letter", "letters"), "[A-Za-z]"), (("word character", "word characters"),
    r"\w"),
    (("letter or digit", "letters or digits"), "[A-Za-z0-9]"), (("alphanumeric character", "alphanumeric characters"),
    "[A-Za-z0-9]"),
    (("whitespace character", "whitespace characters"), r"\s"), (("hex digit", "hex digits"), "[0-9A-Fa-f]"),
    (("vowel", "vowels"), "[aeiou]"),
    (("hexadecimal digit", "hexadecimal digits"), "[0-9A-Fa-f]"), (("character", "characters"), "."), (("non-digit",
    "non-digits"), r"\D"),
    (("consonant", "consonants"), "[b-df-hj-np-tv-z]"), (("punctuation mark", "punctuation marks"), "[.,;:!?]"),
)  # fmt: skip
_MARKS = (
    ("dash", "-"), ("hyphen", "-"), ("minus sign", "-"), ("plus sign", r"\+"), ("dot", r"\."), ("period", r"\."),
    ("comma", ","), ("colon", ":"),
    ("semicolon", ";"), ("space", " "), ("slash", "/"), ("underscore", "_"), ("hash", "#"), ("at sign", "@"),
    ("dollar sign", r"\$"),
    ("percent sign", "%"), ("equals sign", "="), ("opening parenthesis", r"\("), ("closing parenthesis", r"\)"),
    ("tab", r"\t"),
    ("question mark", r"\?"), ("exclamation mark", "!"), ("star", r"\*"), ("asterisk", r"\*"), ("pipe", r"\|"),
    ("backslash", r"\\"),
    ("opening bracket", r"\["), ("closing bracket", r"\]"), ("double quote", '"'), ("single quote", "'"),
    ("ampersand", "&"), ("caret", r"\^"),
)  # fmt: skip
_WORDS = (
    "error warning info debug cat dog foo bar test user admin TODO FIXME import def class return http https www "
    "ERROR total name id apple red blue hello world page chapter item order price invoice main index data log tmp "
    "start end yes no true false null USD function print begin key value version alpha beta release note title "
    "author date time file path select from where table"
).split()
_PARTS = (
    "a",
    "un",
    "re",
    "pre",
    "ing",
    "ed",
    "ly",
    "th",
    "sh",
    "x",
    "ab",
    "con",
    "tion",
    "er",
    "in",
    "dis",
    "z",
    "mis",
    "able",
    "ness",
    "s",
)
_KNOWN: tuple[tuple[tuple[str, ...], str], ...] = (
    (("a date like 2024-05-31", "an ISO date", "a date in the form YYYY-MM-DD", "YYYY-MM-DD dates", "ISO 8601 dates"),
    r"\d{4}-\d{2}-\d{2}"),
    (("a date like 31/05/2024", "dates in the form DD/MM/YYYY", "a DD/MM/YYYY date"), r"\d{2}/\d{2}/\d{4}"),
    (("a date like 31.05.2024", "a DD.MM.YYYY date", "German dates"), r"\d{2}\.\d{2}\.\d{4}"),
    (("a time like 14:30", "a 24-hour time", "HH:MM times", "a time in 24-hour format"), r"([01]\d|2[0-3]):[0-5]\d"),
    (("a time with seconds", "HH:MM:SS times", "a time like 14:30:59"), r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d"),
    (("a 12-hour time like 2:30 pm", "a time with am or pm"), r"(1[0-2]|[1-9]):[0-5]\d ?[ap]m"),
    (("an email address", "email addresses", "an e-mail address", "emails", "a mail address"),
    r"[\w.+-]+@[\w-]+\.[\w.-]+"),
    (("a URL", "URLs", "web addresses", "a web link", "links that start with http or https", "an http or https URL"),
    r"https?://\S+"),
    (("an IPv4 address", "an IP address", "IP addresses", "IPv4 addresses"), r"\d{1,3}(\.\d{1,3}){3}"),
    (("a hex color", "a hex color code", "CSS hex colors like #ff8800", "hex colours"), r"#[0-9A-Fa-f]{6}"),
    (("a UUID", "UUIDs", "a GUID"), r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    (("a MAC address", "MAC addresses"), r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}"),
    (("an integer", "integers", "whole numbers", "a whole number, possibly negative", "a signed integer"), r"-?\d+"),
    (("a decimal number", "decimal numbers", "a number with decimals", "a number like 3.14"), r"-?\d+\.\d+"),
    (("a number with an optional fraction", "an integer or a decimal number", "integers and decimals"),
    r"-?\d+(\.\d+)?"),
    (("a US phone number like 555-123-4567", "US phone numbers with dashes"), r"\d{3}-\d{3}-\d{4}"),
    (("a US ZIP code", "ZIP codes", "a five-digit zip with optional four more"), r"\d{5}(-\d{4})?"),
    (("a blank line", "empty lines", "an empty line", "blank lines", "lines with only whitespace"), r"^\s*$"),
    (("a repeated word", "a doubled word", "the same word twice in a row", "duplicate words"), r"\b(\w+) \1\b"),
    (("an HTML tag", "HTML tags", "an XML tag", "html or xml tags"), r"<[^>]+>"),
    (("text in double quotes", "a double-quoted string", "anything between double quotes", "quoted text"), r'"[^"]*"'),
    (("text in single quotes", "a single-quoted string", "anything between single quotes"), "'[^']*'"),
    (("text in parentheses", "anything between parentheses", "whatever stands in round brackets"), r"\([^)]*\)"),
    (("text in square brackets", "anything between square brackets"), r"\[[^\]]*\]"),
    (("text in curly braces", "anything between curly braces"), r"\{[^}]*\}"),
    (("a version number like 1.2.3", "semantic version numbers", "a semver version"), r"\d+\.\d+\.\d+"),
    (("a hashtag", "hashtags"), r"#\w+"), (("a mention like @ana", "an @ mention", "mentions with an at sign"),
    r"@\w+"),
    (("a price in dollars", "dollar amounts like $12.50", "a dollar price"), r"\$\d+(\.\d{2})?"),
    (("a price in euros like 12,50 €", "euro prices"), r"\d+,\d{2} ?€"), (("a percentage", "percentages like 12.5%"),
    r"\d+(\.\d+)?%"),
    (("a capitalized word", "words that start with a capital letter", "capitalized words"), r"\b[A-Z][a-z]*\b"),
    (("a word in all caps", "words in capitals", "all-caps words", "a fully uppercase word"), r"\b[A-Z]+\b"),
    (("trailing whitespace", "spaces at the end of a line", "whitespace at the end of lines"), r"\s+$"),
    (("leading whitespace", "whitespace at the start of a line", "indentation"), r"^\s+"),
    (("multiple spaces", "two or more spaces", "several spaces in a row", "runs of spaces"), " {2,}"),
    (("a comment line that starts with #", "lines that are # comments", "hash comments"), r"^\s*#.*$"),
    (("a line comment with //", "// comments", "double-slash comments"), "//.*$"),
    (("a variable name", "an identifier", "a Python identifier", "identifiers"), r"[A-Za-z_]\w*"),
    (("a snake_case name", "snake case identifiers"), r"[a-z]+(_[a-z]+)+"), (("a camelCase name",
    "camel case identifiers"), r"[a-z]+([A-Z][a-z]*)+"),
    (("a year from 1900 to 2099", "a year in the 20th or 21st century"), r"(19|20)\d{2}"), (("a four-digit year",
    "a year"), r"\d{4}"),
    (("a word", "words"), r"\w+"), (("a Unix path", "an absolute path", "absolute file paths"), r"(/[^/\s]+)+"),
    (("a Windows path", "Windows file paths"), r"[A-Za-z]:\\\S+"), (("a credit card number in groups of four",
    "16 digits in groups of four"), r"\d{4}( \d{4}){3}"),
    (("a Markdown heading", "markdown headings"), r"^#{1,6} .+$"), (("a Markdown link", "markdown links"),
    r"\[[^\]]+\]\([^)]+\)"),
    (("a key=value pair", "key=value pairs", "assignments like name=value"), r"\w+=\S+"),
    (("a number between 0 and 255",), r"(25[0-5]|2[0-4]\d|1?\d?\d)"),
    (("a number from 1 to 12", "a month number"), r"(1[0-2]|[1-9])"), (("a Roman numeral", "Roman numerals"),
    r"\b[IVXLCDM]+\b"),
    (("a file name with an extension", "file names with extensions"), r"[\w-]+\.\w+"), (("a domain name",
    "domain names"), r"([\w-]+\.)+[a-z]{2,}"),
)  # fmt: skip
_EXTENSIONS = "txt py jpg png pdf csv json md html log zip mp3 xml yaml js c docx".split()
_ASKS = (
    "regex for {}", "regex for {}", "regex: {}", "regex to match {}", "regex that matches {}", "a regex for {}",
    "regular expression for {}",
    "regular expression that matches {}", "write a regex for {}", "what regex matches {}",
    "how do I match {} with a regex", "pattern for {}",
    "give me a regex that finds {}", "regexp for {}", "match {}", "regex matching {}",
    "I need a regular expression for {}", "find {} with a regex",
    "what is the regex for {}", "Python regex for {}", "grep pattern for {}", "a pattern that matches {}",
    "{} (regex)", "{} as a regex",
)  # fmt: skip


def _repeated(rng: random.Random) -> tuple[str, str]:
    """Some of a class: (words, pattern)."""
    (one, many), pattern = rng.choice(_CLASSES)
    article = "an" if one[0] in "aeiou" else "a"
    kind = rng.random()
    number = rng.randrange(2, 11)
    said = number_words(number) if rng.random() < 0.6 else str(number)
    if kind < 0.32:
        lead = rng.choice(["", "", "exactly "])
        return f"{lead}{said} {many}", f"{pattern}{{{number}}}"
    if kind < 0.47:
        return rng.choice(
            [f"one or more {many}", f"one or more {many}", f"at least one {one}", f"some {many}"]
        ), f"{pattern}+"
    if kind < 0.55:
        return rng.choice([f"any number of {many}", f"zero or more {many}"]), f"{pattern}*"
    if kind < 0.65:
        return rng.choice([f"at least {said} {many}", f"{said} or more {many}"]), f"{pattern}{{{number},}}"
    if kind < 0.78:
        more = number + rng.randrange(1, 5)
        other = number_words(more) if said.isalpha() else str(more)
        return rng.choice(
            [f"{said} to {other} {many}", f"between {said} and {other} {many}"]
        ), f"{pattern}{{{number},{more}}}"
    if kind < 0.84:
        return f"up to {said} {many}", f"{pattern}{{0,{number}}}"
    if kind < 0.9:
        return f"an optional {one}", f"{pattern}?"
    return f"{article} {one}", pattern


def _mark(rng: random.Random) -> tuple[str, str]:
    name, pattern = rng.choice(_MARKS)
    article = "an" if name[0] in "aeiou" else "a"
    if rng.random() < 0.2:
        return f"an optional {name}", f"{pattern}?"
    return f"{article} {name}", pattern


def _word(rng: random.Random) -> tuple[str, str]:
    kind = rng.random()
    if kind < 0.5:
        word = rng.choice(_WORDS)
        return rng.choice([f"the word {word}", f'"{word}"', f"{word}", f"the text {word}", f"'{word}'"]), word
    words = rng.sample(_WORDS, rng.choice([2, 2, 3]))
    said = f"{', '.join(words[:-1])} or {words[-1]}"
    return rng.choice([said, said, f"either {said}"]), f"({'|'.join(words)})"


def _sequence(rng: random.Random) -> tuple[str, str]:
    """Parts that follow one another."""
    count = rng.choice([1, 2, 2, 2, 3, 3, 4])
    parts = []
    for i in range(count):
        kind = rng.random()
        parts.append(_repeated(rng) if kind < 0.55 else _mark(rng) if kind < 0.85 and (i or count > 1) else _word(rng))
    words = [words for words, _ in parts]
    join = rng.choice([" followed by ", ", then ", ", ", " and then ", " then ", " and "])
    said = words[0]
    for i, word in enumerate(words[1:], 1):
        said += (
            rng.choice([" and ", " and then ", ", then ", " followed by "])
            if join == ", " and i == len(words) - 1
            else join
        ) + word
    return said, "".join(pattern for _, pattern in parts)


def _placed(rng: random.Random) -> tuple[str, str]:
    """A sequence and where it stands."""
    words, pattern = _sequence(rng)
    kind = rng.random()
    if kind < 0.34:
        return words, pattern
    if kind < 0.5:
        return rng.choice([f"lines starting with {words}", f"{words} at the start of a line",
            f"lines that begin with {words}",
                           f"a line that starts with {words}",
                           f"a string starting with {words}"]), f"^{pattern}"  # fmt: skip
    if kind < 0.66:
        return rng.choice([f"lines ending with {words}", f"{words} at the end of a line", f"lines that end in {words}",
                           f"a line that ends with {words}", f"a string ending in {words}"]), f"{pattern}$"  # fmt: skip
    return rng.choice([f"a line of only {words}", f"a whole line of {words}", f"exactly {words} and nothing else",
        f"a string made of {words}",
                       f"lines that consist of {words}", f"only {words}"]), f"^{pattern}$"  # fmt: skip


def _words(rng: random.Random) -> tuple[str, str]:
    """Words and lines by what they begin with, end with or hold."""
    part, other = rng.sample(_PARTS, 2)
    number = rng.randrange(2, 13)
    said = number_words(number) if rng.random() < 0.5 else str(number)
    word = rng.choice(_WORDS)
    extension = rng.choice(_EXTENSIONS)
    extensions = rng.sample(_EXTENSIONS, 2)
    quote = rng.choice(["", "", "'", '"'])
    quoted = f"{quote}{part}{quote}"
    return rng.choice([
        (rng.choice([f"words starting with {quoted}", f"a word that begins with {quoted}",
        f"words that start with {quoted}"]), rf"\b{part}\w*"),
        (rng.choice([f"words ending in {quoted}", f"a word that ends with {quoted}",
        f"words that end with {quoted}"]), rf"\w*{part}\b"),
        (rng.choice([f"words that contain {quoted}", f"a word with {quoted} in it", f"words containing {quoted}"]),
        rf"\w*{part}\w*"),
        (rng.choice([f"words that start with {part} and end with {other}", f"a word from {part} to {other}"]),
        rf"\b{part}\w*{other}\b"),
        (rng.choice([f"words of {said} letters", f"a word with exactly {said} letters", f"{said}-letter words"]),
        rf"\b[A-Za-z]{{{number}}}\b"),
        (rng.choice([f"words with at least {said} letters", f"words of {said} or more letters"]),
        rf"\b[A-Za-z]{{{number},}}\b"),
        (rng.choice([f"the whole word {word}", f"{word} as a whole word", f"the word {word} on its own",
        f"the exact word {word}"]), rf"\b{word}\b"),
        (rng.choice([f"lines containing {word}", f"a line with {word} in it", f"lines that contain the word {word}"]),
        f"^.*{word}.*$"),
        (rng.choice([f"lines without {word}", f"lines that do not contain {word}",
        f"a line that does not have {word} in it"]), f"^(?!.*{word}).*$"),
        (rng.choice([f"lines longer than {number * 10} characters",
        f"lines with more than {number * 10} characters"]), f"^.{{{number * 10 + 1},}}$"),
        (rng.choice([f"{extension} files", f"file names ending in .{extension}", f"names of .{extension} files"]),
        rf"\S+\.{extension}$"),
        (f"file names that end in .{extensions[0]} or .{extensions[1]}", rf"\S+\.({extensions[0]}|{extensions[1]})$"),
        (rng.choice([f"everything after {word}", f"the rest of the line after {word}"]), f"(?<={word}).*"),
        (rng.choice([f"everything before {word}", f"whatever comes before {word}"]), f".*(?={word})"),
        (rng.choice([f"a number after {word}", f"the number that follows {word}"]), rf"(?<={word})\s*\d+"),
        (rng.choice([f"{word} regardless of case", f"{word}, ignoring case", f"{word} in any case",
        f"case-insensitive {word}"]), f"(?i){word}"),
        (rng.choice([f"anything but {word[0]}", f"any character except {word[0]}"]), f"[^{word[0]}]"),
        (rng.choice([f"{said} words in a row", f"a sequence of {said} words", f"{said} words separated by spaces"]),
        rf"\w+( \w+){{{number - 1}}}"),
        (rng.choice([f"a comma-separated list of {said} numbers", f"{said} numbers separated by commas"]),
        rf"\d+(,\d+){{{number - 1}}}"),
        (rng.choice(["a comma-separated list of numbers", "numbers separated by commas"]), r"\d+(,\d+)*"),
    ])  # fmt: skip


def make(rng: random.Random) -> Made:
    """One row."""
    kind, ask = rng.random(), rng.choice(_ASKS)
    if kind < 0.22:
        wordings, pattern = rng.choice(_KNOWN)
        words = rng.choice(wordings)
        place = rng.random()
        if place < 0.12 and pattern[0] != "^" and pattern[-1] != "$":
            words, pattern = rng.choice([(f"a line that is only {words}", f"^{pattern}$"),
                (f"lines starting with {words}", f"^{pattern}"),
                                         (f"{words} at the end of a line", f"{pattern}$")])  # fmt: skip
    else:
        words, pattern = _placed(rng) if kind < 0.72 else _words(rng)
    re.compile(pattern)
    message = ask.format(words)
    if rng.random() < 0.3:
        message = message[:1].upper() + message[1:]
    if message.lower().startswith(("what", "how")) and rng.random() < 0.6:
        message += "?"
    return Made(f"{ask} {words}" if kind < 0.22 else words, message, pattern)
