"""Of BIG-Bench Hard: the choices of a row, the rows of a task, groups of adapters, and questions in one message."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.evaluation.row import EvalRow
from tools.data import Row
from tools.experiments.bbh_composites import answered, composites
from tools.experiments.bbh_rows import choices, make_task, read_tasks
from tools.experiments.bbh_training import LONGER, MORE_BATCHES, Size, groups

LETTERS = "Which is it?\nOptions:\n(A) one\n(B) two\n(C) three"


@pytest.mark.parametrize(
    ("message", "answers", "found"),
    [
        (LETTERS, {"(A)", "(B)", "three"}, ("(A)", "(B)", "(C)")),
        ("Is it (A) so?\nOptions:\n- Yes\n- No", {"Yes", "No"}, ("No", "Yes")),
        ("How many?", {"1", "2", "3"}, ()),
        ("Which?\nOptions:\n(A) one", {"(A)", "(B)", "(C)"}, ()),
    ],
)
def test_choices_are_the_letters_of_a_message_or_the_two_answers_of_its_task(message, answers, found):
    assert choices(message, answers) == found


def rows_of(count, answer=lambda number: f"({'ABC'[number % 3]})", what="it"):
    return [Row(LETTERS.replace("it", f"{what} {number}"), answer(number)) for number in range(count)]


def test_a_row_whose_answer_is_none_of_its_choices_is_left_out_and_a_known_one_too():
    valid = [*rows_of(6, what="that"), rows_of(1)[0], Row(LETTERS.replace("it", "another"), "two")]
    task = make_task("which", rows_of(20), valid, 150, 50, 0)
    assert (len(task.valid), task.left_out, task.is_lettered) == (6, 1, True)
    assert {row.metric for row in task.valid} == {"choice"}
    assert {row.task for row in task.answered} == {"which"}


def test_a_seed_draws_training_rows_and_never_other_rows_to_answer():
    valid = rows_of(30, what="that")
    zero, one, again = (make_task("which", rows_of(20), valid, 8, 5, seed) for seed in (0, 1, 0))
    assert zero == again
    assert len(zero.train) == len(one.train) == 8
    assert zero.train != one.train
    assert zero.answered == one.answered
    assert len(zero.answered) == 5


def test_rows_without_choices_are_to_be_exact():
    task = make_task("sum", [Row(f"{n} + 1", str(n + 1)) for n in range(9)], [Row("50 + 1", "51")], 9, 9, 0)
    assert (task.answered[0].metric, task.answered[0].choices, task.is_lettered) == ("exact", (), False)


def test_a_task_without_valid_rows_is_named(setup):
    folder = setup.data / "bbh"
    folder.mkdir(parents=True)
    for split, names in (("train", ("a", "b")), ("valid", ("a",))):
        with gzip.open(folder / f"{split}.jsonl.gz", "wt") as file:
            file.writelines(json.dumps({"prompt": "?", "answer": "!", "subtask": name}) + "\n" for name in names)
    with pytest.raises(InputError, match="no valid rows of b"):
        read_tasks(setup, 0)


SIZES = st.dictionaries(st.text("abcdef", min_size=1), st.builds(Size, st.integers(1, 200), st.integers(1, 900)))


@given(SIZES, st.integers(1, 3000))
def test_groups_hold_every_adapter_once_and_fit(sizes, most):
    found = groups(sizes, most)
    assert sorted(name for group in found for name in group) == sorted(sizes)
    for group in found:
        own = [sizes[name] for name in group]
        if len(own) > 1:
            assert len(own) * max(one.longest for one in own) <= most
            assert max(one.longest for one in own) <= LONGER * min(one.longest for one in own)
            assert max(one.batches for one in own) <= MORE_BATCHES * min(one.batches for one in own)


def test_alike_adapters_are_trained_together_and_others_apart():
    sizes = {"a": Size(100, 96), "b": Size(110, 100), "c": Size(110, 400), "d": Size(30, 96), "e": Size(120, 96)}
    assert groups(sizes, 300) == [("d",), ("a", "b"), ("c",), ("e",)]
    assert groups({name: Size(100, 96) for name in "abcd"}, 300) == [("a", "b", "c"), ("d",)]


def row(answer, *of):
    return EvalRow(f"? {answer}", (answer,), "choice" if of else "exact", "task", choices=of)


AB = row("(B)", "(A)", "(B)")
NO = row("No", "No", "Yes")


@pytest.mark.parametrize(
    ("reply", "rows", "count"),
    [
        ("(B)\n\nNo", [AB, NO], 2),
        ("No\n(B)", [AB, NO], 1),
        ("(B)", [AB, AB], 1),
        ("(B)\n(B)", [AB, AB], 2),
        ("(B) two\nNo, it is not.", [AB, NO], 2),
        ("(A)\nNo", [AB, NO], 1),
        ("7\n(B)\nNo", [row("7"), AB, NO], 3),
        ("It is 7", [row("7")], 0),
        ("", [AB, NO], 0),
    ],
)
def test_a_line_of_a_reply_answers_one_question_in_their_order(reply, rows, count):
    assert answered(reply, rows) == count


@given(st.lists(st.sampled_from(["(A)", "(B)", "No", "7"]), max_size=8), st.lists(st.sampled_from([AB, NO, row("7")])))
def test_no_more_questions_are_answered_than_there_are_lines_and_questions(lines, rows):
    count = answered("\n".join(lines), rows)
    assert 0 <= count <= min(len(lines), len(rows))
    assert answered("\n".join([*lines, "No"]), [*rows, NO]) == count + 1


def test_composites_are_of_different_tasks_and_always_the_same():
    tasks = [make_task(name, rows_of(20), rows_of(9, what=name), 20, 9, 0) for name in ("x", "y", "z")]
    made = composites(tasks, 12, 3)
    assert made == composites(tasks, 12, 3)
    for one in made:
        assert {part.task for part in one.rows} == {"x", "y", "z"}
        assert one.text == "\n\n".join(part.text for part in one.rows)
    assert composites(tasks[:2], 12, 3) == []
