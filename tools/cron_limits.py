"""Schedules in words that cron's five fields cannot say, drawn at random, each with the reason."""

from __future__ import annotations

import random

from tools import cron_phrases as phrases
from tools.cron_phrases import DAYS, clock
from tools.dates import MONTHS, ordinal


def unsayable(rng: random.Random) -> tuple[str, str]:
    """A schedule that five fields cannot say: (words, the reason)."""
    kind = rng.randrange(8)
    each = rng.choice(["every", "every", "once every", "each"])
    at = f" at {clock(rng.randrange(24), phrases.any_minute(rng), rng)}" if rng.random() < 0.5 else ""
    if kind == 0:
        step = rng.choice([1, 2, 5, 10, 10, 15, 20, 30, 30, 45, 90, rng.randrange(2, 59)])
        words = (
            rng.choice(["every second", "once a second"])
            if step == 1
            else f"{each} {phrases.said_count(step, rng)} seconds"
        )
        return words, "the shortest step is a minute."
    if kind == 1:
        step = rng.choice([7, 7, 8, 9, 11, 13, 14, 16, 18, 21, 22, 23, 24, 25, 25, 27, 35, 40, 40, 45, 45, 45, 50, 50,
                           55, 75, 80, 90, 90, 90, 100])  # fmt: skip
        if step == 90 and rng.random() < 0.3:
            return rng.choice(
                ["every hour and a half", "every one and a half hours", "every 1.5 hours"]
            ), "minutes start over every hour, and 90 does not divide 60."
        return (
            f"{each} {phrases.said_count(step, rng)} {rng.choice(['minutes', 'minutes', 'min'])}",
            f"minutes start over every hour, and {step} does not divide 60.",
        )
    if kind == 2:
        step = rng.choice([5, 5, 7, 9, 10, 10, 11, 13, 14, 15, 16, 18, 20, 36, 48])
        return (
            f"{each} {phrases.said_count(step, rng)} hours",
            f"hours start over every day, and {step} does not divide 24.",
        )
    if kind == 3:
        day = DAYS[rng.randrange(7)]
        step = rng.choice([2, 2, 3, 4])
        words = rng.choice(["every other week", "every two weeks", "fortnightly", "every fortnight", "biweekly",
            f"every other {day}",
                            f"every second week on {day}", f"every {phrases.said_count(step, rng)} weeks",
                            f"every {phrases.said_count(step, rng)} weeks on {day}",
                            f"on alternate {day}s", "every 14 days exactly",
                            f"each second week on {day}s"])  # fmt: skip
        return words + at, "cron does not count weeks."
    if kind == 4:
        place, day = (
            rng.choice(["first", "second", "third", "fourth", "last", "1st", "2nd", "3rd", "4th"]),
            DAYS[rng.randrange(7)],
        )
        words = rng.choice([f"on the {place} {day} of every month", f"every {place} {day} of the month",
            f"the {place} {day} of each month",
                            f"on the {place} {day} of {rng.choice(MONTHS)}", f"monthly on the {place} {day}",
                            f"on the {place} {rng.choice(['weekday', 'working day', 'business day'])} of the month",
                            ])  # fmt: skip
        return words + at, "it has no field for which weekday of a month."
    if kind == 5:
        words = rng.choice(["on the last day of the month", "on the last day of every month",
            "at the end of the month", "at the end of each month",
                            "on the last day of each month", "monthly on the last day", "at month end",
                            "every month on its last day",
                            "two days before the end of the month", "the day before the month ends"])  # fmt: skip
        return words + at, "cron does not know which day is a month's last."
    if kind == 6:
        year = rng.randrange(2024, 2040)
        month = rng.randrange(12)
        date = rng.randrange(1, 29)
        words = rng.choice([f"on {date} {MONTHS[month]} {year}", f"on {MONTHS[month]} {date}, {year}",
            f"every day in {year}", f"only in {year}",
                            f"once on {MONTHS[month]} {ordinal(date)} {year}", f"every Monday until {year}",
                            f"every other year on {MONTHS[month]} {date}",
                            f"every leap year on {MONTHS[month]} {date}", f"daily from {year}",
                            f"every four years in {MONTHS[month]}"])  # fmt: skip
        return words + at if "20" in words and "every other" not in words else words, "there is no field for the year."
    sun = rng.choice(["sunrise", "sunset", "dawn", "dusk", "nightfall"])
    words = rng.choice([f"at {sun}", f"every day at {sun}", f"daily at {sun}", f"an hour before {sun}",
        f"{rng.choice([10, 15, 20, 30])} minutes after {sun}",
                        f"every weekday at {sun}", f"each evening at {sun}",
                        f"every {DAYS[rng.randrange(7)]} at {sun}"])  # fmt: skip
    return words, "cron knows the clock, not the sun."
