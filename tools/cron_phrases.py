"""Pieces of schedules in words, drawn at random, each with what it is in cron's fields."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tools.dates import MONTHS, number_words, ordinal, ordinal_words

DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split()
_NAMED_DAYS = (
    ("Christmas Day", "25 12"), ("Christmas Eve", "24 12"), ("Christmas", "25 12"), ("New Year's Day", "1 1"),
    ("New Year's Eve", "31 12"), ("Halloween", "31 10"), ("Valentine's Day", "14 2"), ("April Fools' Day", "1 4"),
)  # fmt: skip


def field(values: Sequence[int]) -> str:
    """Numbers as a cron field: sorted, three or more in a row as a range."""
    numbers = sorted(set(values))
    parts: list[str] = []
    while numbers:
        run = 1
        while run < len(numbers) and numbers[run] == numbers[0] + run:
            run += 1
        if run >= 3:
            parts.append(f"{numbers[0]}-{numbers[run - 1]}")
        else:
            parts += [str(number) for number in numbers[:run]]
        numbers = numbers[run:]
    return ",".join(parts)


def listed(words: Sequence[str], rng: random.Random) -> str:
    """'a', 'a and b', 'a, b and c'."""
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])}{rng.choice([' and ', ' and ', ', and ', ' & ', ', '])}{words[-1]}"


def clock(hour: int, minute: int, rng: random.Random) -> str:
    """A time of day as people write it."""
    half = hour % 12 or 12
    if minute == 0 and hour in (0, 12) and rng.random() < 0.6:
        return rng.choice(["noon", "midday", "12 noon"] if hour else ["midnight", "midnight", "12 am"])
    suffix, dotted = ("am", "a.m.") if hour < 12 else ("pm", "p.m.")
    part = (
        "at night" if hour < 5 else "in the morning" if hour < 12 else "in the afternoon" if hour < 18
        else "in the evening" if hour < 22 else "at night"
    )  # fmt: skip
    kind = rng.random()
    if kind < 0.25:
        return f"{hour:02d}:{minute:02d}" if rng.random() < 0.6 else f"{hour}:{minute:02d}"
    if kind < 0.65:
        minutes = "" if minute == 0 and rng.random() < 0.85 else f"{rng.choice(':::.')}{minute:02d}"
        return f"{half}{minutes}{rng.choice(['', ' '])}{rng.choice([suffix, suffix, suffix.upper(), dotted])}"
    spoken = number_words(half)
    if minute == 0:
        said = rng.choice([f"{spoken} o'clock", spoken, str(half), f"{half} o'clock"])
    elif minute == 15:
        said = rng.choice(["quarter past", "a quarter past"]) + f" {spoken}"
    elif minute == 30:
        said = f"half past {rng.choice([spoken, str(half)])}"
    elif minute == 45:
        said = rng.choice(["quarter to", "a quarter to"]) + f" {number_words(half % 12 + 1)}"
    elif minute % 5 == 0:
        said = (
            f"{number_words(minute)} past {spoken}" if minute < 30
            else f"{number_words(60 - minute)} to {number_words(half % 12 + 1)}"
        )  # fmt: skip
    else:
        return f"{hour:02d}:{minute:02d}"
    if 1 <= hour <= 12 and minute != 45 and not (minute > 30) and hour < 12 and rng.random() < 0.5:
        return said
    if minute > 30 and hour % 12 == 11:
        return f"{hour:02d}:{minute:02d}"
    return f"{said} {part}"


def any_minute(rng: random.Random) -> int:
    """A minute, round ones more often."""
    return rng.choice([0, 0, 0, 0, 15, 30, 30, 45, rng.randrange(0, 60, 5), rng.randrange(60)])


def any_time(rng: random.Random) -> tuple[str, list[str]]:
    """A time of day: (words, 'minute hour' of each line)."""
    kind = rng.random()
    if kind < 0.72:
        hour, minute = rng.randrange(24), any_minute(rng)
        at = rng.choice(["at", "at", "at", "at", "at exactly", "around"]) if rng.random() < 0.9 else "@"
        return f"{at} {clock(hour, minute, rng)}", [f"{minute} {hour}"]
    if kind < 0.92:
        hours = sorted(rng.sample(range(24), rng.choice([2, 2, 2, 3, 4])))
        minute = rng.choice([0, 0, 0, 30, 15, 45])
        plain = rng.random() < 0.5
        words = [f"{hour}:{minute:02d}" if plain else clock(hour, minute, rng) for hour in hours]
        if minute == 0 and rng.random() < 0.15:
            words = [f"{hour}h" for hour in hours]
        lead = "twice a day at " if len(hours) == 2 and rng.random() < 0.2 else "at "
        return lead + listed(words, rng), [f"{minute} {field(hours)}"]
    first, second = sorted(rng.sample(range(24), 2))
    minutes = rng.sample([0, 10, 15, 20, 30, 40, 45, 50], 2)
    text = f"at {clock(first, minutes[0], rng)} and {rng.choice(['', '', 'at '])}{clock(second, minutes[1], rng)}"
    return text, [f"{minutes[0]} {first}", f"{minutes[1]} {second}"]


def _day_name(day: int, rng: random.Random, short: bool) -> str:
    name = DAYS[day]
    return name[:3] if short else name


def any_weekdays(rng: random.Random) -> tuple[str, str]:
    """Days of the week: (words, field)."""
    kind = rng.random()
    short = rng.random() < 0.15
    if kind < 0.2:
        return rng.choice(["every weekday", "on weekdays", "every working day", "Monday to Friday", "each weekday",
                           "on work days", "Mon-Fri", "monday through friday", "every business day", "on every workday",
                           "from Monday to Friday", "weekdays"]), "1-5"  # fmt: skip
    if kind < 0.3:
        return rng.choice(["on weekends", "every weekend", "at the weekend", "on Saturdays and Sundays", "weekends",
                           "on Saturday and Sunday", "every Saturday and Sunday",
                           "each weekend day"]), "0,6"  # fmt: skip
    if kind < 0.65:
        day = rng.randrange(7)
        name = _day_name(day, rng, short)
        if short:
            return f"{rng.choice(['every', 'on', 'each'])} {name}", str(day)
        return rng.choice([f"every {name}", f"on {name}s", f"each {name}", f"on {name}", f"on every {name}", f"{name}s",
                           f"once a week on {name}", f"weekly on {name}",
                           f"every week on {name}"]), str(day)  # fmt: skip
    if kind < 0.85:
        days = rng.sample(range(7), rng.choice([2, 2, 3, 3, 4]))
        if rng.random() < 0.8:
            days.sort(key=lambda day: (day - 1) % 7)
        plural = "s" if not short and rng.random() < 0.3 else ""
        names = [_day_name(day, rng, short) + plural for day in days]
        return f"{'on' if plural else rng.choice(['on', 'every', 'each'])} {listed(names, rng)}", field(days)
    first = rng.randrange(7)
    days = [(first + i) % 7 for i in range(rng.choice([3, 3, 4, 4, 5, 6]))]
    one, other = _day_name(days[0], rng, short), _day_name(days[-1], rng, short)
    words = rng.choice([f"{one} to {other}", f"from {one} to {other}", f"{one} through {other}", f"{one}-{other}",
                        f"from {one} through {other}", f"{one} till {other}",
                        f"between {one} and {other}"])  # fmt: skip
    return words, field(days)


def any_months(rng: random.Random) -> tuple[str, str]:
    """Months: (words, field)."""
    kind = rng.random()
    if kind < 0.45:
        month = rng.randrange(12)
        return rng.choice([f"in {MONTHS[month]}", f"every {MONTHS[month]}", f"in {MONTHS[month][:3]}"]), str(month + 1)
    if kind < 0.75:
        first = rng.randrange(0, 10)
        last = rng.randrange(first + 2, 12)
        one, other = MONTHS[first], MONTHS[last]
        return rng.choice([f"from {one} to {other}", f"{one} to {other}", f"from {one} through {other}",
                           f"between {one} and {other}",
                           f"{one[:3]}-{other[:3]}"]), f"{first + 1}-{last + 1}"  # fmt: skip
    months = sorted(rng.sample(range(12), rng.choice([2, 2, 3])))
    return f"in {listed([MONTHS[month] for month in months], rng)}", field([month + 1 for month in months])


def any_dates(rng: random.Random) -> tuple[str, str]:
    """Days of the month, with or without a month: (words, 'day month')."""
    kind = rng.random()
    day = rng.randrange(1, 32)
    said = rng.choice([ordinal(day), ordinal(day), ordinal(day), ordinal_words(day)])
    if kind < 0.35:
        return rng.choice([f"on the {said} of every month", f"on the {said} of each month",
            f"every month on the {said}",
                           f"monthly on the {said}", f"on the {said}", f"every {said} of the month",
                           f"on day {day} of the month",
                           f"on the {said} of the month", f"each month on the {said}",
                           f"once a month on the {said}"]), f"{day} *"  # fmt: skip
    if kind < 0.42:
        return rng.choice(["on the first day of the month", "on the first day of every month",
            "at the start of every month",
                           "on the first of the month", "at the beginning of each month"]), "1 *"  # fmt: skip
    if kind < 0.57:
        days = sorted(rng.sample(range(1, 31), rng.choice([2, 2, 3])))
        where = rng.choice([" of every month", " of each month", "", " of the month"])
        return f"on the {listed([ordinal(day) for day in days], rng)}{where}", f"{field(days)} *"
    if kind < 0.67:
        first = rng.randrange(1, 20)
        last = rng.randrange(first + 2, 29)
        return rng.choice([f"from the {ordinal(first)} to the {ordinal(last)} of every month",
                           f"on days {first} to {last} of the month",
                           f"on the {ordinal(first)} through the {ordinal(last)}",
                           f"between the {ordinal(first)} and the {ordinal(last)} of each month"]), (
                               f"{first}-{last} *")  # fmt: skip
    if kind < 0.75:
        name, fields = rng.choice(_NAMED_DAYS)
        return rng.choice([f"on {name}", f"every {name}", f"every year on {name}"]), fields
    month = rng.randrange(12)
    day = min(day, 28) if month == 1 else min(day, 30)
    name = MONTHS[month] if rng.random() < 0.75 else MONTHS[month][:3]
    return rng.choice([f"on {name} {ordinal(day)}", f"every {name} {day}", f"on the {ordinal(day)} of {name}",
                       f"every year on {day} {name}", f"on {day} {name}", f"every {ordinal(day)} of {name}",
                       f"yearly on {name} {ordinal(day)}", f"once a year on {name} {day}",
                       f"on {name} {day}"]), f"{day} {month + 1}"  # fmt: skip


def said_count(number: int, rng: random.Random) -> str:
    """A number as digits or, where it is small, at times as a word."""
    return number_words(number) if number < 13 and rng.random() < 0.25 else str(number)


def any_hours(rng: random.Random) -> tuple[str, str]:
    """A range of hours: (words, field)."""
    first = rng.randrange(0, 20)
    last = rng.randrange(first + 2, 24)
    if rng.random() < 0.5:
        one, other = clock_hour(first, rng), clock_hour(last, rng)
    else:
        one, other = f"{first}:00", f"{last}:00"
    return rng.choice([f"between {one} and {other}", f"from {one} to {other}", f"from {one} until {other}",
                       f"{one} to {other}", f"from {one} through {other}"]), f"{first}-{last}"  # fmt: skip


def clock_hour(hour: int, rng: random.Random) -> str:
    """A full hour: '9am', '14:00'."""
    if hour in (0, 12) and rng.random() < 0.4:
        return "noon" if hour else "midnight"
    return f"{hour % 12 or 12}{rng.choice(['', ' '])}{'am' if hour < 12 else 'pm'}"
