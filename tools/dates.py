"""A seeded generator for the `dates` task: a date in words or in any usual notation → ISO 8601.

Where day and month could be exchanged (`03/04/2021`) the day comes first; a notation that only works month-first
(`04/23/2021`) is read that way. Two-digit years follow POSIX `strptime`: 69-99 → 19xx, 00-68 → 20xx.
"""

from __future__ import annotations

import datetime
import hashlib
import random

MONTHS = "January February March April May June July August September October November December".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = (
    "_ first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
_ASKS = (
    "convert {} to ISO",
    "{} in ISO format",
    "what is {} in ISO format?",
    "ISO date for {}",
    "write {} as an ISO date",
    "{} to ISO 8601",
    "To ISO: {}",
    "to iso: {}",
)


def number_words(n: int) -> str:
    """0-99 in words: 42 → 'forty-two'."""
    if n < 20:
        return _ONES[n]
    return _TENS[n // 10] + (f"-{_ONES[n % 10]}" if n % 10 else "")


def ordinal_words(day: int) -> str:
    """1-31 as an ordinal in words: 21 → 'twenty-first'."""
    if day <= 20:
        return _ORDINALS[day]
    return "thirtieth" if day == 30 else f"{_TENS[day // 10]}-{_ORDINALS[day % 10]}"


def ordinal(day: int) -> str:
    """1-31 with its suffix: 3 → '3rd'."""
    suffix = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{suffix}"


def year_words(year: int, rng: random.Random) -> str:
    """A year from 1901 to 2099 as it is said: 1999 → 'nineteen ninety-nine'."""
    century, rest = divmod(year, 100)
    if rest == 0:
        return "two thousand" if year == 2000 else f"{number_words(century)} hundred"
    if 2000 < year < 2010 or (2010 <= year < 2100 and rng.random() < 0.4):
        return f"two thousand {rng.choice(['', 'and '])}{number_words(rest)}"
    return f"{number_words(century)} {'oh ' if rest < 10 else ''}{number_words(rest)}"


def _short_year(year: int) -> str | None:
    """The two-digit year that POSIX reads back as `year`, or None where there is none."""
    return f"{year % 100:02d}" if 1969 <= year <= 2068 else None


def _numeric(date: datetime.date, rng: random.Random) -> str:
    sep = rng.choice("//..-- ")
    day, month = (f"{date.day:02d}", f"{date.month:02d}") if rng.random() < 0.6 else (str(date.day), str(date.month))
    year = str(date.year)
    short = _short_year(date.year)
    if short and rng.random() < 0.3:
        year = short
    kind = rng.random()
    if kind < 0.2:
        return f"{date.year}{sep}{month}{sep}{day}"
    if kind < 0.27:
        return date.strftime("%Y%m%d")
    if kind < 0.45 and date.day > 12:
        return f"{month}{sep}{day}{sep}{year}"
    return f"{day}{sep}{month}{sep}{year}"


def _worded(date: datetime.date, rng: random.Random) -> str:
    month = MONTHS[date.month - 1]
    if rng.random() < 0.45:
        month = month[:3] + rng.choice(["", "", "."])
        if date.month == 9 and rng.random() < 0.3:
            month = "Sept"
    day = rng.choice([str(date.day), str(date.day), f"{date.day:02d}", ordinal(date.day), ordinal(date.day)])
    if rng.random() < 0.15:
        day = ordinal_words(date.day)
    year = str(date.year)
    short = _short_year(date.year)
    if short and rng.random() < 0.15:
        year = rng.choice([short, f"'{short}"])
    elif rng.random() < 0.12:
        year = year_words(date.year, rng)
    comma = rng.choice([",", ",", ""])
    text = rng.choice(
        [
            f"{day} {month} {year}",
            f"{day} {month}{comma} {year}",
            f"{month} {day}{comma} {year}",
            f"{month} {day}{comma} {year}",
            f"{day} of {month}{comma} {year}",
            f"the {day} of {month}{comma} {year}",
            f"{month} the {day}{comma} {year}",
            f"{day}-{month.rstrip('.')}-{year}",
            f"{year} {month} {day}",
        ]
    )
    if rng.random() < 0.22:
        weekday = WEEKDAYS[date.weekday()]
        weekday = weekday if rng.random() < 0.6 else weekday[:3]
        text = f"{weekday}{rng.choice([',', ',', ''])} {text}"
    case = rng.random()
    return text.lower() if case < 0.15 else text.upper() if case < 0.2 else text


def make_date(rng: random.Random) -> tuple[str, str]:
    """One (notation, ISO date) pair, 1901-01-01 to 2099-12-31, recent years more often."""
    year = rng.randint(1970, 2035) if rng.random() < 0.7 else rng.randint(1901, 2099)
    date = datetime.date(year, 1, 1) + datetime.timedelta(days=rng.randrange(366 if year % 4 == 0 else 365))
    text = _numeric(date, rng) if rng.random() < 0.35 else _worded(date, rng)
    return text, date.isoformat()


def make_rows(count: int, split: str, seed: int = 0) -> list[tuple[str, str]]:
    """`count` distinct (message, answer) rows of a split; no message is in both `train` and `valid`.

    `valid` holds only the canonical wording `to ISO: {date}`; a fifth of `train` asks in other words.
    """
    rng = random.Random(f"dates-{split}-{seed}")
    rows: dict[str, str] = {}
    while len(rows) < count:
        text, iso = make_date(rng)
        held_out = hashlib.sha256(text.encode()).digest()[0] < 26
        if held_out != (split == "valid"):
            continue
        ask = rng.choice(_ASKS) if split == "train" and rng.random() < 0.2 else "to ISO: {}"
        rows[ask.format(text)] = iso
    return list(rows.items())
