"""Generated rows: seeded, their splits apart, and true."""

import json
import re
from decimal import Decimal
from itertools import pairwise

import pytest

from tools import cron, json_repair, proofreading, regexes, units
from tools.generated import Made, held_out, make_rows

MAKERS = {"cron": cron.make, "units": units.make, "json": json_repair.make, "regex": regexes.make}


@pytest.mark.parametrize("task", MAKERS)
def test_rows_are_the_same_for_a_seed_and_no_message_is_in_both_splits(task):
    train, valid = (dict(make_rows(MAKERS[task], task, 400, split)) for split in ("train", "valid"))
    assert train == dict(make_rows(MAKERS[task], task, 400, "train"))
    assert train != dict(make_rows(MAKERS[task], task, 400, "train", seed=1))
    assert not train.keys() & valid.keys()


def in_range(text, first, last):
    for part in text.split(","):
        start, _, step = part.partition("/")
        numbers = [] if start == "*" else [int(number) for number in start.split("-")]
        assert all(first <= number <= last for number in numbers), text
        assert numbers == sorted(numbers)
        assert not step or 1 < int(step) <= last + 1


def test_schedules_are_five_fields_in_their_ranges_or_a_reason():
    for message, answer in make_rows(cron.make, "cron", 3000, "train"):
        if answer.startswith(cron.CANNOT):
            continue
        for line in answer.split("\n"):
            fields = line.split(" ")
            assert len(fields) == 5, (message, answer)
            for text, (first, last) in zip(fields, [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)], strict=True):
                in_range(text, first, last)


@pytest.mark.parametrize(
    ("numbers", "field"),
    [([5], "5"), ([1, 0], "0,1"), ([1, 2, 3], "1-3"), ([0, 4, 5, 6], "0,4-6"), ([6, 0], "0,6")],
)
def test_numbers_in_a_cron_field_are_sorted_and_three_in_a_row_are_a_range(numbers, field):
    assert cron.phrases.field(numbers) == field


UNIT = re.compile(rf" ({'|'.join(map(re.escape, sorted(units.NAMES, key=len, reverse=True)))})$")
NUMBER = re.compile(r"\d+(\.\d+)?")


def value(expression):
    """The value of a sum, a product or a quotient as an answer shows it."""
    plain = UNIT.sub("", expression).replace("×", "*")
    assert re.fullmatch(r"[\d.*+\-/() ]+", plain), expression
    return eval(NUMBER.sub(lambda number: f"Decimal('{number[0]}')", plain), {"Decimal": Decimal})


def test_sums_of_one_answer_are_equal_and_results_are_rounded_from_them():
    for message, answer in make_rows(units.make, "units", 2000, "train"):
        sums, _, rounded = answer.partition(" ≈ ")
        parts = sums.split(" = ")
        if ":" in answer or UNIT.search(parts[0]):
            continue  # hours and minutes; powers of ten
        values = [value(part) for part in parts]
        assert all(abs(one - other) < Decimal("1e-20") for one, other in pairwise(values)), (message, answer)
        if rounded:
            last_place = Decimal(NUMBER.search(rounded)[0]).as_tuple().exponent
            assert abs(value(rounded) - values[-1]) <= Decimal("0.5").scaleb(max(last_place, -4)), (message, answer)


def test_multiplying_digit_by_digit_shows_every_sum():
    assert units.multiplied(Decimal("26.2"), Decimal("1.6093")) == [
        "26.2 × 1.6093", "32.186 + 9.6558 + 0.32186", "41.8418 + 0.32186", "42.16366",
    ]  # fmt: skip


def test_mended_json_is_valid_and_the_broken_is_not_but_for_some():
    rows = make_rows(json_repair.make, "json", 1000, "train")
    whole = [answer for _, answer in rows]
    assert all(json.loads(answer) is not None for answer in whole)
    unbroken = sum(answer in message for message, answer in rows)
    assert 0.04 < unbroken / len(rows) < 0.15


def test_patterns_compile_and_match_what_they_are_asked_for():
    rows = dict(make_rows(regexes.make, "regex", 3000, "train"))
    assert all(re.compile(pattern) for pattern in rows.values())
    for wording, text in (
        ("an ISO date", "2024-05-31"),
        ("an email address", "ana.b@example.com"),
        ("a UUID", "0" * 8 + "-0000" * 3 + "-" + "0" * 12),
    ):
        (pattern,) = {pattern for words, pattern in regexes._KNOWN if wording in words}
        assert re.fullmatch(pattern, text)


def test_slips_are_put_into_sentences_and_the_answer_is_the_sentence():
    sentences = proofreading.sentences(
        ["They don't know which restaurant is the best. see `x`", "Show the size of a directory.", "no capital here."]
    )
    assert sentences == ["Show the size of a directory.", "They don't know which restaurant is the best."]
    split = "valid" if held_out(sentences[0]) else "train"
    rows = make_rows(lambda rng: proofreading.make(rng, sentences[:1]), "proofread", 50, split)
    assert {answer for _, answer in rows} == {"Show the size of a directory."}
    assert sum(answer in message for message, answer in rows) < 25


def test_more_rows_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="only 0 of 2 rows"):
        make_rows(lambda _: Made("x", "x", "x"), "x", 2, "train" if held_out("x") else "valid")
