"""A seeded generator for the `units` task: conversions and sums → the working and the result.

A small model cannot multiply at a glance, but digit by digit: `26.2 × 1.6093 = 32.186 + 9.6558 + 0.32186 = 41.8418 +
0.32186 = 42.16366 ≈ 42.2 km`. Factors have five significant digits, results three, and a row is kept where that is
what the exact factor gives. What is exact is shown in full.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from tools.dates import number_words
from tools.generated import Made

D = Decimal
NAMES: dict[str, tuple[str, ...]] = {
    "mm": ("mm", "millimeters", "millimetres"), "cm": ("cm", "centimeters", "centimetres"),
    "m": ("m", "meters", "metres"), "km": ("km", "kilometers", "kilometres", "kms"),
    "in": ("in", "inches", '"', "inch"), "ft": ("ft", "feet", "foot"), "yd": ("yd", "yards"), "mi": ("mi", "miles",
    "mile"),
    "mg": ("mg", "milligrams"), "g": ("g", "grams", "gram"), "kg": ("kg", "kilograms", "kilos", "kgs"),
    "t": ("t", "tonnes", "metric tons"), "oz": ("oz", "ounces", "ounce"), "lb": ("lb", "pounds", "lbs", "pound"),
    "ml": ("ml", "milliliters", "millilitres", "mL"), "l": ("l", "liters", "litres", "L"), "dl": ("dl", "deciliters"),
    "cl": ("cl", "centiliters"),
    "gal": ("gal", "gallons", "US gallons"), "cups": ("cups", "US cups", "cup"), "fl oz": ("fl oz", "fluid ounces"),
    "pt": ("pt", "pints", "US pints"),
    "tbsp": ("tbsp", "tablespoons"), "tsp": ("tsp", "teaspoons"),
    "s": ("s", "seconds", "sec"), "min": ("min", "minutes", "mins"), "h": ("h", "hours", "hrs"), "days": ("days",
    "day"), "weeks": ("weeks",),
    "ms": ("ms", "milliseconds"),
    "KB": ("KB", "kilobytes"), "MB": ("MB", "megabytes"), "GB": ("GB", "gigabytes", "gigs"), "TB": ("TB", "terabytes"),
    "km/h": ("km/h", "kph", "kilometers per hour", "kmh"), "mph": ("mph", "miles per hour"), "m/s": ("m/s",
    "meters per second"), "kn": ("kn", "knots"),
    "m²": ("m²", "square meters", "sqm", "m2"), "sq ft": ("sq ft", "square feet", "sqft"), "ha": ("ha", "hectares"),
    "acres": ("acres",),
    "°C": ("°C", "C", "degrees Celsius", "celsius", "degrees C"), "°F": ("°F", "F", "degrees Fahrenheit",
    "fahrenheit", "degrees F"),
    "kW": ("kW", "kilowatts"), "hp": ("hp", "horsepower"), "kcal": ("kcal", "calories"), "kJ": ("kJ", "kilojoules"),
}  # fmt: skip
EXACT = (
    ("km", "m", 1000), ("m", "cm", 100), ("cm", "mm", 10), ("m", "mm", 1000), ("kg", "g", 1000), ("g", "mg", 1000),
    ("t", "kg", 1000),
    ("l", "ml", 1000), ("l", "dl", 10), ("l", "cl", 100), ("dl", "ml", 100), ("cl", "ml", 10), ("s", "ms", 1000),
    ("KB", "MB", D("0.001")), ("GB", "MB", 1000), ("TB", "GB", 1000), ("MB", "KB", 1000),
)  # fmt: skip
"""Pairs that differ by a power of ten."""

WHOLE = (("ft", "in", 12), ("yd", "ft", 3), ("h", "min", 60), ("min", "s", 60), ("h", "s", 3600), ("days", "h", 24),
("weeks", "days", 7),
         ("weeks", "h", 168), ("days", "min", 1440), ("lb", "oz", 16), ("tbsp", "tsp", 3), ("gal", "cups", 16), ("in",
         "cm", D("2.54")),
         ("in", "mm", D("25.4")), ("ft", "cm", D("30.48")), ("m/s", "km/h", D("3.6")), ("cups", "tbsp", 16), ("pt",
         "cups", 2))  # fmt: skip
"""Pairs whose factor is exact."""

ROUNDED = (
    ("mi", "km", D("1.609344")), ("km", "mi", D("0.621371192")), ("ft", "m", D("0.3048")), ("m", "ft",
    D("3.280839895")), ("yd", "m", D("0.9144")),
    ("m", "yd", D("1.093613298")), ("cm", "in", D("0.393700787")), ("lb", "kg", D("0.45359237")), ("kg", "lb",
    D("2.204622622")),
    ("oz", "g", D("28.349523125")), ("g", "oz", D("0.0352739619")), ("gal", "l", D("3.785411784")), ("l", "gal",
    D("0.264172052")),
    ("cups", "ml", D("236.5882365")), ("fl oz", "ml", D("29.5735295625")), ("tbsp", "ml", D("14.78676478")), ("tsp",
    "ml", D("4.92892159")),
    ("mph", "km/h", D("1.609344")), ("km/h", "mph", D("0.621371192")), ("kn", "km/h", D("1.852")), ("pt", "ml",
    D("473.176473")),
    ("m²", "sq ft", D("10.76391042")), ("sq ft", "m²", D("0.09290304")), ("ha", "acres", D("2.471053815")), ("acres",
    "ha", D("0.4046856422")),
    ("kW", "hp", D("1.341022")), ("hp", "kW", D("0.745699872")), ("kcal", "kJ", D("4.184")), ("mm", "in",
    D("0.0393700787")),
)  # fmt: skip
_ASKS = (
    "{} {} in {}", "{} {} in {}", "{} {} to {}", "{} {} to {}", "convert {} {} to {}", "convert {} {} into {}",
    "how many {2} is {0} {1}",
    "how many {2} are {0} {1}", "what is {} {} in {}", "how many {2} in {0} {1}", "how much is {} {} in {}",
    "{} {} = ? {}", "{} {} as {}",
    "how many {2} are there in {0} {1}", "units: {} {} to {}", "what's {} {} in {}", "turn {} {} into {}",
    "express {} {} in {}",
    "I have {} {}, how many {} is that", "{0} {1}, in {2} please",
)  # fmt: skip


def shown(number: Decimal) -> str:
    """A number without an exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(number: Decimal, digits: int = 3) -> Decimal:
    """A number to so many significant digits; whole numbers keep all of theirs."""
    if not number:
        return number
    place = max(min(number.adjusted() - digits + 1, 0), -12)
    return number.quantize(D(1).scaleb(place), ROUND_HALF_UP)


def five_digits(factor: Decimal) -> Decimal:
    """A factor to five significant digits."""
    return factor.quantize(D(1).scaleb(factor.adjusted() - 4), ROUND_HALF_UP)


def parts(number: Decimal) -> list[Decimal]:
    """A number's digits at their places: 26.2 → 20, 6, 0.2."""
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    places = [D(digit).scaleb(exponent + len(digits) - 1 - i) for i, digit in enumerate(digits)]
    return [place for place in places if place]


def summed(terms: list[Decimal]) -> list[str]:
    """The steps of a sum: [254, 25.4, 5.08] → '254 + 25.4 + 5.08', '279.4 + 5.08', '284.48'."""
    steps = []
    while terms:
        steps.append(" + ".join(map(shown, terms)))
        terms = [terms[0] + terms[1], *terms[2:]] if len(terms) > 1 else []
    return steps


def multiplied(number: Decimal, factor: Decimal) -> list[str]:
    """The steps of number · factor, the number taken digit by digit."""
    return [f"{shown(number)} × {shown(factor)}", *summed([part * factor for part in parts(number)])]


@dataclass(frozen=True, slots=True)
class _Sum:
    subject: str
    message: str
    answer: str


def _amount(rng: random.Random) -> Decimal:
    kind = rng.random()
    if kind < 0.35:
        return D(rng.randrange(1, 31))
    if kind < 0.55:
        return D(rng.randrange(1, 200))
    if kind < 0.65:
        return D(rng.choice([50, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000, 5000]))
    if kind < 0.9:
        return D(rng.randrange(1, 500)) / 10
    return D(rng.randrange(100, 999)) if kind < 0.96 else D(rng.randrange(1, 999)) / 100


def _asked(amount: Decimal, one: str, other: str, rng: random.Random) -> str:
    names = NAMES[one], NAMES[other]
    source, goal = (name[0] if rng.random() < 0.45 else rng.choice(name) for name in names)
    written = shown(amount)
    if amount == int(amount) and 0 <= amount <= 20 and rng.random() < 0.12:
        written = number_words(int(amount))
    ask = rng.choice(_ASKS).format(written, source, goal)
    if rng.random() < 0.25 and len(source) < 4:
        ask = ask.replace(f"{written} {source}", f"{written}{source}")
    return ask + ("?" if ask.startswith(("how", "what")) and rng.random() < 0.6 else "")


def _conversion(rng: random.Random) -> _Sum:
    kind = rng.random()
    amount = _amount(rng)
    if kind < 0.18:
        one, other, power = rng.choice(EXACT)
        factor = D(power)
        if rng.random() < 0.5:
            one, other, factor = other, one, 1 / factor
        answer = f"{shown(amount)} {one} = {shown((amount * factor).normalize())} {other}"
    elif kind < 0.4:
        one, other, exact = rng.choice(WHOLE)
        steps = multiplied(amount, D(exact))
        answer = " = ".join(dict.fromkeys(steps)) + f" {other}"
    elif kind < 0.5:
        minutes = rng.randrange(61, 900)
        one, other = ("min", "h") if rng.random() < 0.6 else ("s", "min")
        amount = D(minutes)
        whole, rest = divmod(minutes, 60)
        answer = f"{minutes} = {whole} × 60 + {rest}: {whole} {other} {rest} {one}"
    else:
        one, other, factor = rng.choice(ROUNDED)
        near = five_digits(factor)
        product, exact_product = amount * near, amount * factor
        result = rounded(product)
        if result != rounded(exact_product):
            return _conversion(rng)
        steps = list(dict.fromkeys(multiplied(amount, near)))
        sign = "=" if near == factor and result == product else "≈"
        answer = " = ".join(steps) + (f" {sign} {shown(result)}" if result != product else "") + f" {other}"
    return _Sum(f"{shown(amount)} {one} {other}", _asked(amount, one, other, rng), answer)


def _temperature(rng: random.Random) -> _Sum:
    if rng.random() < 0.5:
        fahrenheit = rng.choice([rng.randrange(-40, 121), rng.randrange(200, 501, 5), rng.randrange(90, 110)])
        difference = D(fahrenheit - 32)
        result = rounded_to_tenth(difference * 5 / 9)
        sign = "=" if difference * 5 / 9 == result else "≈"
        answer = f"({fahrenheit} - 32) × 5 / 9 = {difference} × 5 / 9 = {difference * 5} / 9 {sign} {shown(result)} °C"
        return _Sum(f"{fahrenheit} F", _asked(D(fahrenheit), "°F", "°C", rng), answer)
    celsius = D(rng.randrange(-40, 261)) if rng.random() < 0.7 else D(rng.randrange(350, 420)) / 10
    product = celsius * D("1.8")
    answer = f"{shown(celsius)} × 1.8 + 32 = {shown(product)} + 32 = {shown(product + 32)} °F"
    return _Sum(f"{shown(celsius)} C", _asked(celsius, "°C", "°F", rng), answer)


def rounded_to_tenth(number: Decimal) -> Decimal:
    """A number to one decimal."""
    return number.quantize(D("0.1"), ROUND_HALF_UP)


def _arithmetic(rng: random.Random) -> _Sum:
    kind = rng.random()
    lead = rng.choice(["", "", "", "what is ", "what's ", "calculate ", "compute ", "how much is "])
    if kind < 0.4:
        share = D(rng.choice([5, 10, 12, 15, 18, 20, 25, 30, 40, 50, 60, 75, 80, 90, rng.randrange(1, 100)]))
        amount = _amount(rng)
        steps = multiplied(amount, share / 100)
        text = rng.choice([f"{shown(share)}% of {shown(amount)}", f"{shown(share)} percent of {shown(amount)}"])
        answer = " = ".join(dict.fromkeys(steps))
    elif kind < 0.7:
        one, other = D(rng.randrange(2, 400)), D(rng.randrange(2, 100))
        text = f"{one} {rng.choice(['×', 'x', '*', 'times'])} {other}"
        answer = " = ".join(dict.fromkeys(multiplied(other, one)))
        answer = answer.replace(f"{other} × {one}", f"{one} × {other}", 1)
    elif kind < 0.85:
        one, other = _amount(rng), _amount(rng)
        text = f"{shown(one)} {rng.choice(['+', '+', 'plus'])} {shown(other)}"
        answer = f"{shown(one)} + {shown(other)} = {shown(one + other)}"
    else:
        one, other = sorted((_amount(rng), _amount(rng)), reverse=True)
        text = f"{shown(one)} {rng.choice(['-', '-', 'minus'])} {shown(other)}"
        answer = f"{shown(one)} - {shown(other)} = {shown(one - other)}"
    return _Sum(
        text.replace(" x ", " × ").replace(" * ", " × ").replace("times", "×"),
        lead + text + ("?" if "what" in lead else ""),
        answer,
    )


def make(rng: random.Random) -> Made:
    """One row."""
    kind = rng.random()
    made = _conversion(rng) if kind < 0.68 else _temperature(rng) if kind < 0.8 else _arithmetic(rng)
    message = made.message
    if rng.random() < 0.3:
        message = message[:1].upper() + message[1:]
    return Made(made.subject, message, made.answer)
