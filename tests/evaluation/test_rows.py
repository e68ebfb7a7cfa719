"""Rows to be measured by: each is read on its own, and a bad one is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.values import Message
from dlp_local.evaluation import metrics
from dlp_local.evaluation.row import EvalRow
from dlp_local.evaluation.rows import draw, read_rows
from tests.evaluation.example_rows import numbered

ADAPTERS = ("dates", "sql")


def read(*rows):
    return read_rows(numbered(rows), ADAPTERS)


def test_a_row_has_what_it_says():
    said = [("system", "Be brief."), ("user", "the 3rd"), ("assistant", "2021-02-03")]
    turns = [{"role": role, "content": content} for role, content in said]
    more = {"adapter": "dates", "id": 7, "metric": "exact", "history": turns}
    (row,), problems = read({"prompt": "and the 4th?", "answers": ["2021-02-04", "4 Feb"]} | more)
    assert not problems
    history = tuple(Message(role, content) for role, content in said)
    assert row == EvalRow("and the 4th?", ("2021-02-04", "4 Feb"), "exact", "dates", history, (), 1)


@pytest.mark.parametrize(
    ("more", "metric"),
    [
        ({"answer": "a"}, "exact"),
        ({"answer": '{"a": 1}'}, "object"),
        ({"answer": {"a": 1}}, "object"),
        ({"answers": ['{"a": 1}', "none"]}, "exact"),
        ({"answer": "[1]"}, "exact"),
        ({"answer": [1], "metric": "object"}, "object"),
        ({"answer": "a", "choices": ["a", "b"]}, "choice"),
        ({"answer": "a", "choices": ["a", "b"], "metric": "likelihood"}, "likelihood"),
        ({"answer": "ls -l", "metric": "command"}, "command"),
        ({"answer": "a", "adapter": None, "choices": None}, "exact"),
    ],
)
def test_a_metric_is_the_one_that_fits_the_answers_unless_the_row_names_one(more, metric):
    (row,), _ = read({"text": "x"} | more)
    assert row.metric == metric


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{", "is not JSON"),
        ("[1]", "is no object"),
        ({"text": "x"}, "has no answer"),
        ({"text": "x", "answers": []}, "has no answer"),
        ({"text": "x", "answer": " "}, "answer: is missing, empty or no text"),
        ({"text": "x", "answer": 3}, "answer: is missing, empty or no text"),
        ({"answer": "y"}, "text: is missing"),
        ({"text": "\ud800", "answer": "y"}, "text: holds half a character"),
        ({"text": "x", "prompt": "x", "answer": "y"}, "has a text and a prompt"),
        ({"text": "x", "answer": "y", "answers": ["y"]}, "has an answer and answers"),
        ({"text": "x", "answr": "y"}, "answr: there is no field of that name. Did you mean 'answer'"),
        ({"text": "x", "answer": "y", "adapter": "date"}, "adapter: there is no adapter 'date'. Did you mean 'dates'?"),
        ({"text": "x", "answer": "y", "metric": "blue"}, "metric: there is no metric 'blue'. Did you mean 'bleu'?"),
        ({"text": "x", "answer": "y", "metric": "choice"}, "metric: choice is of rows with choices"),
        ({"text": "x", "answer": "y", "metric": "object"}, "metric: object is of JSON objects"),
        ({"text": "x", "answer": "y", "choices": ["a", "b"]}, "choices: the answer 'y' is none of them"),
        ({"text": "x", "answer": "a", "choices": ["a"]}, "choices: give two or more"),
        ({"text": "x", "answer": "a", "choices": "ab"}, "choices: give a list"),
        ({"text": "x", "answer": "y", "history": "hi"}, "history: give a list of messages"),
        ({"text": "x", "answer": "y", "history": [{"role": "robot"}]}, "history: message 1 has the role 'robot'"),
        ({"text": "x", "answer": "y", "history": [{"role": "user"}]}, "history: message 1: content: is missing"),
    ],
)
def test_a_bad_row_is_told_by_its_line_and_the_others_are_read(row, told):
    rows, (problem,) = read({"text": "a", "answer": "b"}, row, {"text": "c", "answer": "d"})
    assert [good.text for good in rows] == ["a", "c"]
    assert problem.line == 2
    assert problem.reason.startswith(told)


def test_a_metric_whose_package_is_not_there_is_told_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    rows, (problem,) = read({"text": "a", "answer": "b", "metric": "bleu"}, {"text": "c", "answer": "d"})
    assert "metric: bleu needs the package sacrebleu" in problem.reason
    assert "pip install 'dlp-local[eval]'" in problem.reason
    assert len(rows) == 1
    assert metrics.reported_for("sql", likelihood=False) == ("sql", "sql-one-row", "exact")


rows_of_tasks = st.lists(
    st.builds(
        EvalRow, text=st.text("abc", min_size=1, max_size=4), answers=st.just(("x",)), metric=st.just("exact"),
        adapter=st.sampled_from(["dates", "sql", "base"]),
    ),
    unique_by=lambda row: row.identity,
)  # fmt: skip


@given(rows_of_tasks, st.integers(1, 40), st.integers(0, 3), st.randoms())
def test_a_draw_is_even_over_the_tasks_and_does_not_depend_on_the_order_of_the_file(rows, limit, seed, rng):
    drawn = draw(rows, limit, seed)
    assert draw(rng.sample(rows, len(rows)), limit, seed) == drawn
    assert set(drawn) <= set(rows)
    assert len(drawn) == min(limit, len(rows))
    counts = {task: sum(row.task == task for row in drawn) for task in {row.task for row in rows}}
    left = {task for task in counts if counts[task] < sum(row.task == task for row in rows)}
    assert all(counts[task] >= max(counts.values()) - 1 for task in left)
    assert set(draw(rows, max(limit - 1, 1), seed)) <= set(drawn)


def test_other_seeds_draw_other_rows():
    rows = [EvalRow(f"message {number}", ("x",), "exact") for number in range(100)]
    assert len({frozenset(draw(rows, 10, seed)) for seed in range(5)}) == 5


def test_where_a_row_stands_is_no_part_of_its_identity():
    first, second = read_rows(numbered([json.loads('{"text": "a", "answer": "b"}')] * 2), ADAPTERS)[0]
    assert first.identity == second.identity
    assert first.line != second.line
