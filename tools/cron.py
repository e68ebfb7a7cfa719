"""A seeded generator for the `cron` task: when to run something, in words → the five fields of a crontab line.

Fields are minute, hour, day of the month, month, day of the week (Sunday is 0). Numbers of a list are sorted, three or
more in a row become a range, as `0,4-6`. Where no time of day is said it is midnight. Times whose minutes differ take a
line each. What five fields cannot say is answered with the reason.
"""

from __future__ import annotations

import random

from tools import cron_limits
from tools import cron_phrases as phrases
from tools.cron_phrases import DAYS, clock, clock_hour
from tools.dates import number_words, ordinal
from tools.generated import Made

CANNOT = "Five fields cannot say this: "
_FRAMES = (
    "{}", "{}", "{}", "cron: {}", "cron for {}", "cron {}", "cron expression for {}", "crontab line for {}",
    "crontab: {}", "run {}", "run this {}", "run a job {}", "run backup.sh {}", "schedule it {}",
    "what is the cron syntax for {}", "write a cron schedule for {}", "I need a cron job that runs {}",
    "cron schedule: {}", "how do I write {} in cron", "{} as a cron expression", "{} in cron",
    "make a cron entry for {}",
    "a cron job {}", "execute the script {}", "start the report {}", "cronjob {}", "which cron expression means {}",
)  # fmt: skip


def _at_a_time(rng: random.Random) -> tuple[str, str]:
    """A time on some days."""
    words, lines = phrases.any_time(rng)
    kind = rng.random()
    if kind < 0.28:
        day = rng.choice(
            ["every day", "daily", "each day", "every single day", "", "", "once a day", "every day of the week"]
        )
        rest = "* * *"
    elif kind < 0.62:
        day, week = phrases.any_weekdays(rng)
        rest = f"* * {week}"
    elif kind < 0.85:
        day, dates = phrases.any_dates(rng)
        rest = f"{dates} *"
    elif kind < 0.92:
        day, months = phrases.any_months(rng)
        day = f"{rng.choice(['every day', 'daily', 'each day'])} {day}"
        rest = f"* {months} *"
    else:
        (day, week), (month, months) = phrases.any_weekdays(rng), phrases.any_months(rng)
        day = f"{day} {month}"
        rest = f"* {months} {week}"
    if rng.random() < 0.14 and day:
        return day, f"0 0 {rest}"
    if not day:
        return words, "\n".join(f"{line} {rest}" for line in lines)
    comma = rng.choice(["", "", "", ","])
    text = f"{day}{comma} {words}" if rng.random() < 0.65 else f"{words}{comma} {day}"
    return text, "\n".join(f"{line} {rest}" for line in lines)


_PLAIN = (
    ("weekly", "0 0 * * 0"), ("every week", "0 0 * * 0"), ("once a week", "0 0 * * 0"), ("monthly", "0 0 1 * *"),
    ("every month", "0 0 1 * *"), ("once a month", "0 0 1 * *"), ("yearly", "0 0 1 1 *"), ("every year", "0 0 1 1 *"),
    ("once a year", "0 0 1 1 *"), ("annually", "0 0 1 1 *"), ("daily", "0 0 * * *"), ("every day", "0 0 * * *"),
    ("once a day", "0 0 * * *"), ("every night", "0 0 * * *"), ("quarterly", "0 0 1 */3 *"),
    ("every quarter", "0 0 1 */3 *"), ("hourly", "0 * * * *"), ("twice a year", "0 0 1 */6 *"),
    ("every half year", "0 0 1 */6 *"), ("every six months", "0 0 1 */6 *"), ("every other month", "0 0 1 */2 *"),
    ("every minute", "* * * * *"), ("nightly", "0 0 * * *"), ("every midnight", "0 0 * * *"),
)  # fmt: skip
"""What is said in a word or two."""


def _again_and_again(rng: random.Random) -> tuple[str, str]:
    """Steps: minutes, hours, days, months, and how often an hour or a day."""
    kind = rng.random()
    each = rng.choice(["every", "every", "every", "each", "once every"])
    if kind < 0.36:
        return _by_minutes(each, rng)
    if kind < 0.72:
        return _by_hours(each, rng)
    return rng.choice(_PLAIN) if kind < 0.86 else _by_days_or_months(each, rng)


def _by_minutes(each: str, rng: random.Random) -> tuple[str, str]:
    if rng.random() < 0.12:
        words, minute = rng.choice(["every minute", "each minute", "once a minute", "minutely"]), "*"
    elif rng.random() < 0.15:
        words, minute = rng.choice([("every half hour", "*/30"), ("every quarter of an hour", "*/15"),
            ("every half an hour", "*/30"),
                                    ("every quarter hour", "*/15"), ("every other minute", "*/2"),
                                    ("every second minute", "*/2")])  # fmt: skip
    elif rng.random() < 0.15:
        times = rng.choice([2, 3, 4, 5, 6, 10, 12])
        often = "twice" if times == 2 else f"{phrases.said_count(times, rng)} times"
        words, minute = (
            f"{often} {rng.choice(['an hour', 'per hour', 'every hour', 'each hour'])}",
            f"*/{60 // times}",
        )
    else:
        step = rng.choice([2, 3, 4, 5, 5, 6, 10, 10, 12, 15, 15, 20, 30])
        words, minute = (
            f"{each} {phrases.said_count(step, rng)} {rng.choice(['minutes', 'minutes', 'min', 'mins'])}",
            f"*/{step}",
        )
    hour, rest = "*", "* * *"
    if rng.random() < 0.35:
        more, hour = phrases.any_hours(rng)
        words += f" {more}"
    elif rng.random() < 0.1:
        at = rng.randrange(24)
        words, hour = f"{words} during the hour of {clock_hour(at, rng)}", str(at)
    if rng.random() < 0.3:
        more, week = phrases.any_weekdays(rng)
        words, rest = f"{words} {more}", f"* * {week}"
    elif rng.random() < 0.08:
        more, months = phrases.any_months(rng)
        words, rest = f"{words} {more}", f"* {months} *"
    return words, f"{minute} {hour} {rest}"


def _by_hours(each: str, rng: random.Random) -> tuple[str, str]:
    minute = rng.choice([0, 0, 0, 0, rng.randrange(60), 30, 15, 45])
    rest = "* * *"
    if rng.random() < 0.35:
        words, hour = rng.choice(["every hour", "hourly", "each hour", "once an hour"]), "*"
        if rng.random() < 0.45:
            more, hour = phrases.any_hours(rng)
            words += f" {more}"
    elif rng.random() < 0.15:
        times = rng.choice([2, 2, 2, 3, 4, 6, 8])
        often = "twice" if times == 2 else f"{phrases.said_count(times, rng)} times"
        words, hour = (
            f"{often} {rng.choice(['a day', 'per day', 'daily', 'every day', 'each day'])}",
            f"*/{24 // times}",
        )
        minute = 0
    elif rng.random() < 0.1:
        words, hour = rng.choice(["every other hour", "every second hour"]), "*/2"
    else:
        step = rng.choice([2, 2, 3, 4, 6, 6, 8, 12])
        words, hour = f"{each} {phrases.said_count(step, rng)} {rng.choice(['hours', 'hours', 'hrs'])}", f"*/{step}"
    if minute:
        words = rng.choice([f"{minute} minutes past the hour {words}", f"{words} at minute {minute}",
                            f"{words}, {minute} minutes past", f"at minute {minute} {words}",
                            f"{words} at {minute} past"])  # fmt: skip
        if minute in (15, 30) and rng.random() < 0.3:
            words = f"at {'quarter' if minute == 15 else 'half'} past every hour"
            hour = "*"
    if rng.random() < 0.3:
        more, week = phrases.any_weekdays(rng)
        words, rest = f"{words} {more}", f"* * {week}"
    return words, f"{minute} {hour} {rest}"


def _by_days_or_months(each: str, rng: random.Random) -> tuple[str, str]:
    hour, minute = rng.randrange(24), phrases.any_minute(rng)
    at = f" at {clock(hour, minute, rng)}" if rng.random() < 0.6 else ""
    time = f"{minute} {hour}" if at else "0 0"
    if rng.random() < 0.5:
        step = rng.choice([2, 2, 3, 4, 5, 7, 10])
        words = (
            "every other day" if step == 2 and rng.random() < 0.6 else f"{each} {phrases.said_count(step, rng)} days"
        )
        return words + at, f"{time} */{step} * *"
    step = rng.choice([2, 3, 3, 4, 6])
    day = rng.choice([1, 1, rng.randrange(1, 29)])
    words = f"{each} {phrases.said_count(step, rng)} months"
    if day != 1 or rng.random() < 0.4:
        words += f" on the {ordinal(day)}"
    return words + at, f"{time} {day} */{step} *"


def _parts_of_the_day(rng: random.Random) -> tuple[str, str]:
    """'every morning at seven', 'on Friday nights at 11'."""
    part, first, last = rng.choice([("morning", 5, 11), ("afternoon", 12, 17), ("evening", 17, 22), ("night", 20, 23)])
    hour, minute = rng.randrange(first, last + 1), rng.choice([0, 0, 0, 15, 30, 45])
    half = hour % 12 or 12
    said = f"{half}:{minute:02d}" if minute else rng.choice([str(half), number_words(half), f"{half} o'clock"])
    if minute == 30 and rng.random() < 0.5:
        said = f"half past {number_words(half)}"
    if rng.random() < 0.35:
        day = rng.randrange(7)
        return rng.choice([f"every {DAYS[day]} {part} at {said}", f"on {DAYS[day]} {part}s at {said}",
                           f"{DAYS[day]} {part}s at {said}"]), f"{minute} {hour} * * {day}"  # fmt: skip
    if rng.random() < 0.3:
        return rng.choice(
            [f"every weekday {part} at {said}", f"on weekday {part}s at {said}"]
        ), f"{minute} {hour} * * 1-5"
    return rng.choice(
        [f"every {part} at {said}", f"each {part} at {said}", f"at {said} every {part}"]
    ), f"{minute} {hour} * * *"


def make(rng: random.Random) -> Made:
    """One row."""
    kind = rng.random()
    if kind < 0.5:
        words, answer = _at_a_time(rng)
    elif kind < 0.78:
        words, answer = _again_and_again(rng)
    elif kind < 0.86:
        words, answer = _parts_of_the_day(rng)
    else:
        words, reason = cron_limits.unsayable(rng)
        answer = CANNOT + reason
    frame = rng.choice(_FRAMES)
    message = frame.format(words)
    case = rng.random()
    if case < 0.3:
        message = message[:1].upper() + message[1:]
    elif case < 0.45:
        message = message.lower()
    if "?" not in message and frame.startswith(("what", "how", "which")) and rng.random() < 0.7:
        message += "?"
    return Made(words.lower(), message, answer)
